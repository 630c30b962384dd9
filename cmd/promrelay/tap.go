package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kingpin/v2"
)

// tapOptions are the flags of tap.
type tapOptions struct {
	Relay               apiClient
	Match               []string // selectors
	Destination, Output string
	Duration, Limit     string // the relay checks them
}

func tapCommand(app *kingpin.Application) subcommand {
	c := app.Command("tap", "Show the samples that a running relay is sending, after external labels and write_relabel_configs. The relay must run with --web.enable-tap."+
		examples(`tap --match='{job="shop"}'`, `tap --match=up --match='{__name__=~"shop_.*"}' --destination=central --duration=1m`, `tap --url=http://relay:9099 --output=json --limit=10`))
	var o tapOptions
	o.Relay.flags(c, defaultURL)
	c.Flag("match", "Selector of series, such as up{job=\"shop\"}. Repeatable: a series is shown if one of them matches. (default all series)").StringsVar(&o.Match)
	c.Flag("destination", "Name of the destination, as /destinations shows it. (default all destinations)").StringVar(&o.Destination)
	c.Flag("duration", "End after this time, at most 5m.").Default("10s").StringVar(&o.Duration)
	c.Flag("limit", "End after this many samples, at most 100000.").Default("1000").StringVar(&o.Limit)
	c.Flag("output", "Format of the samples: "+strings.Join(outputs, ", ")+".").Default("text").HintOptions(outputs...).StringVar(&o.Output)
	return subcommand{c, func() error {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
		defer stop()
		return tapSamples(ctx, os.Stdout, o)
	}}
}

// tapSamples writes the samples until the relay ends the tap, or ctx ends.
func tapSamples(ctx context.Context, out io.Writer, o tapOptions) error {
	if !slices.Contains(outputs, o.Output) {
		return fmt.Errorf("--output=%s: want %s", o.Output, strings.Join(outputs, " or "))
	}
	body, err := o.Relay.open(ctx, "/api/v1/tap", url.Values{
		"match[]": o.Match, "destination": {o.Destination}, "duration": {o.Duration}, "limit": {o.Limit}, "format": {o.Output},
	})
	if err == nil {
		if _, err = io.Copy(out, body); err != nil {
			err = fmt.Errorf("%s: %w", o.Relay, err)
		}
		err = errors.Join(err, body.Close())
	}
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the user has ended it
	}
	return err
}
