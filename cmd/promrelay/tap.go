package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kingpin/v2"
)

// tapOptions are the flags of tap.
type tapOptions struct {
	Relay               relayClient
	Match               []string // selectors
	Destination, Output string
	Duration, Limit     string // the relay checks them
}

func tapCommand(app *kingpin.Application) subcommand {
	c := app.Command("tap", "Show the samples that a running relay is sending, after external labels and write_relabel_configs. The relay must run with --web.enable-tap."+
		examples(`tap --match='{job="shop"}'`, `tap --match=up --match='{__name__=~"shop_.*"}' --destination=central --duration=1m`, `tap --url=http://relay:9099 --output=json --limit=10`))
	var o tapOptions
	o.Relay.flags(c)
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

// defaultURL is where the pages of a relay are that has the default of --web.listen-address.
const defaultURL = "http://localhost:9099"

// tapSamples writes the samples until the relay ends the tap, or ctx ends.
func tapSamples(ctx context.Context, out io.Writer, o tapOptions) error {
	if !slices.Contains(outputs, o.Output) {
		return fmt.Errorf("--output=%s: want %s", o.Output, strings.Join(outputs, " or "))
	}
	o.Relay.URL = cmp.Or(o.Relay.URL, defaultURL)
	body, err := o.Relay.open(ctx, "/api/v1/tap", url.Values{
		"match[]": o.Match, "destination": {o.Destination}, "duration": {o.Duration}, "limit": {o.Limit}, "format": {o.Output},
	})
	if err == nil {
		_, err = io.Copy(out, body)
		err = errors.Join(err, body.Close())
	}
	if ctx.Err() != nil {
		return nil // the user has ended it
	}
	if err != nil {
		return fmt.Errorf("%s: %w", o.Relay, err)
	}
	return nil
}

// headersWithin bounds the wait for the beginning of an answer that goes on.
const headersWithin = 30 * time.Second

// open asks for a path of the API whose answer goes on. The caller closes the body.
func (c relayClient) open(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	base, err := url.Parse(c.URL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, errors.New("want a URL such as " + defaultURL)
	}
	client, err := c.client()
	if err != nil {
		return nil, err
	}
	at := base.JoinPath(path)
	at.RawQuery = query.Encode()
	ctx, cancel := context.WithCancel(ctx)
	late := time.AfterFunc(headersWithin, cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		cancel()
		return nil, err
	}
	resp, err := client.Do(req)
	if !late.Stop() && err != nil {
		err = fmt.Errorf("no answer within %s", headersWithin)
	}
	if err != nil {
		cancel()
		if of, ok := errors.AsType[*url.Error](err); ok { // its text repeats the URL
			err = of.Err
		}
		return nil, fmt.Errorf("no relay answers there: %w", err)
	}
	body := endingBody{resp.Body, cancel}
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		return nil, errors.Join(readAnswer(resp, text, new(any)), body.Close())
	}
	return body, nil
}

// endingBody is the body of an answer, with what its request needs to be ended.
type endingBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

// Close ends the request.
func (b endingBody) Close() error {
	b.cancel()
	return b.ReadCloser.Close()
}
