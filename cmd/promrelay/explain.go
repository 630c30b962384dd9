package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"promrelay/informers"
	"promrelay/targets"
)

// explainOptions are the arguments and flags of explain.
type explainOptions struct {
	targetsOptions
	Kind, Name string
}

func explainCommand(app *kingpin.Application) subcommand {
	c := app.Command("explain", "Say how far a monitor, Node, Service or target gets on the way to the receivers, and what to change. It exits with 1 where a step is broken."+
		examples("explain servicemonitor shop/web --url=http://localhost:9099", "explain service shop/web --manifests=deploy/", "explain target http://10.0.0.1:8080/metrics --url=http://localhost:9099"))
	var o explainOptions
	c.Arg("kind", "One of "+strings.Join(targets.SubjectKinds(), ", ")+"; also kubectl's short forms, such as smon.").Required().HintOptions(targets.SubjectKinds()...).StringVar(&o.Kind)
	c.Arg("name", "NAMESPACE/NAME, the name of a Node, or the URL of a target.").Required().StringVar(&o.Name)
	o.Relay.flags(c, "")
	c.Flag("manifests", "Directory of YAML and JSON files with monitors, Services, EndpointSlices, Pods and so on. Nothing is scraped.").StringVar(&o.Manifests)
	clusterFlags(c, &o.Cluster, "The cluster is read, and nothing is scraped.")
	c.Flag("config.file", "Configuration file, for its monitors, nodes and scrape_configs. Without one, all monitors are selected.").StringVar(&o.ConfigFile)
	c.Flag("output", "Format of the answer: "+strings.Join(outputs, ", ")+".").Default("text").HintOptions(outputs...).StringVar(&o.Output)
	return subcommand{c, func() error { return explain(os.Stdout, o) }}
}

// explain writes an explanation. It returns an error if a step is broken.
func explain(out io.Writer, o explainOptions) error {
	if !slices.Contains(outputs, o.Output) {
		return fmt.Errorf("--output=%s: want %s", o.Output, strings.Join(outputs, " or "))
	}
	s, err := targets.ParseSubject(o.Kind, "", o.Name)
	if err != nil {
		return err
	}
	x, err := o.ask(s)
	if err != nil {
		return err
	}
	if o.Output == "json" {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		err = e.Encode(x)
	} else {
		writeExplanation(out, x)
	}
	if x.Outcome == targets.OutcomeBroken {
		return errors.Join(err, fmt.Errorf("a step is broken: %s", x.Summary))
	}
	return err
}

// ask gets the explanation from the running relay, or from objects.
func (o explainOptions) ask(s targets.Subject) (x targets.Explanation, err error) {
	if err := o.onePlace(); err != nil {
		return x, err
	}
	if o.Relay.URL != "" {
		q := url.Values{"kind": {s.Kind}, "namespace": {s.Namespace}, "name": {s.Name}}
		err = o.Relay.get(context.Background(), "api/v1/explain", q, &x)
		return x, err
	}
	_, err = o.discover(func(d *informers.Discovery) { x = d.Explain(s, targets.Live{}) })
	return x, err
}

// marks are what a step begins with.
var marks = map[targets.Outcome]string{targets.OutcomeOK: "ok", targets.OutcomeNote: "note", targets.OutcomeWaiting: "...", targets.OutcomeBroken: "BROKEN"}

// maxShownTargets is how many targets of a job the text names.
const maxShownTargets = 5

// writeExplanation writes an explanation for people: what to know first, then the steps.
func writeExplanation(out io.Writer, x targets.Explanation) {
	fmt.Fprintf(out, "%s: %s\n", targets.Owner{Kind: targets.Kind(x.Subject.Kind), Namespace: x.Subject.Namespace, Name: x.Subject.Name}, x.Summary)
	if x.Mend != "" {
		fmt.Fprintf(out, "What to change: %s\n", x.Mend)
	}
	fmt.Fprintln(out)
	writeSteps(out, "", x.Steps)
	for _, j := range x.Jobs {
		fmt.Fprintf(out, "\n%s\n", j.Job)
		if len(x.Jobs) > 1 {
			writeSteps(out, "  ", j.Steps)
		}
		for _, t := range j.Targets[:min(len(j.Targets), maxShownTargets)] {
			writeTarget(out, t)
		}
		if more := j.More + len(j.Targets) - maxShownTargets; more > 0 {
			fmt.Fprintf(out, "  and %d more targets\n", more)
		}
	}
}

func writeSteps(out io.Writer, indent string, steps []targets.Step) {
	for _, s := range steps {
		fmt.Fprintf(out, "%s%-6s  %-9s  %s\n", indent, marks[s.Outcome], s.Name, s.Text)
		for _, f := range s.Facts {
			fmt.Fprintf(out, "%s                   %s\n", indent, f)
		}
	}
}

// writeTarget writes a target, with the rules that its monitor's author wrote, and the one that dropped it.
func writeTarget(out io.Writer, t targets.TargetTrace) {
	switch {
	case t.Dropped != "":
		fmt.Fprintf(out, "  dropped %s: %s\n", t.Discovered["__address__"], t.Dropped)
	default:
		fmt.Fprintf(out, "  %s %s %s\n", t.URL, t.Health, t.Error)
	}
	for _, r := range t.Rules {
		if r.Dropped {
			fmt.Fprintf(out, "    %s: %s, saw %s\n", r.Origin, r.Rule, pairs(r.Before))
		} else if r.Own {
			fmt.Fprintf(out, "    %s: %s, from %s to %s\n", r.Origin, r.Rule, pairs(r.Before), pairs(r.After))
		}
	}
}

func pairs(m map[string]string) string {
	var out []string
	for k, v := range m {
		out = append(out, fmt.Sprintf("%s=%q", k, v))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}
