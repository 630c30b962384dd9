package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/model"

	"promrelay/cmd/promrelay/compare"
	"promrelay/config"
	"promrelay/informers"
	"promrelay/informers/manifests"
	"promrelay/targets"
)

// compareOptions are the flags of compare.
type compareOptions struct {
	Prometheus        []string // URLs
	PrometheusHTTP    string   // file with settings of clients
	Query, QueryHTTP  string   // the same of the receiver
	Relay             apiClient
	Manifests, Config string
	Cluster           config.Kubernetes
	Old, New          string
	Window            time.Duration
	Output            string
	FailOn            []string
}

func compareCommand(app *kingpin.Application) subcommand {
	c := app.Command("compare", "Say what differs between the targets of a Prometheus and those of the relay, and between the series of the two at a receiver."+
		examples("compare --prometheus=http://prometheus:9090 --url=http://promrelay:9099",
			"compare --prometheus=http://prometheus:9090 --kubeconfig=$HOME/.kube/config --config.file=promrelay.yml",
			`compare --prometheus=http://prometheus:9090 --url=http://promrelay:9099 --query=http://receiver:9090 --old='{prometheus_replica="prom-agent-shop-0"}' --new='{prometheus_replica="promrelay"}'`))
	var o compareOptions
	c.Flag("prometheus", "URL of a Prometheus, a PrometheusAgent's pod or a vmagent. Repeatable, for shards and replicas.").StringsVar(&o.Prometheus)
	c.Flag("prometheus.http.config.file", "File with credentials and TLS settings for --prometheus, in the form that promtool takes.").StringVar(&o.PrometheusHTTP)
	o.Relay.flags(c, "")
	c.Flag("manifests", "Instead of a running relay: directory of manifests with the objects of the cluster.").StringVar(&o.Manifests)
	clusterFlags(c, &o.Cluster, "Instead of a running relay: what one would scrape of this cluster.")
	c.Flag("config.file", "Configuration file for --manifests and --kubeconfig. Without one, all monitors are selected.").StringVar(&o.Config)
	c.Flag("query", "URL of a receiver that both write to, and that answers PromQL.").StringVar(&o.Query)
	c.Flag("query.http.config.file", "File with credentials and TLS settings for --query.").StringVar(&o.QueryHTTP)
	c.Flag("old", "Selector of the series that Prometheus writes.").StringVar(&o.Old)
	c.Flag("new", "Selector of the series that the relay writes.").StringVar(&o.New)
	c.Flag("window", "How far the comparison of series looks back.").Default("5m").DurationVar(&o.Window)
	c.Flag("output", "Format: "+strings.Join(outputs, ", ")+".").Default("text").HintOptions(outputs...).StringVar(&o.Output)
	c.Flag("fail-on", "Exit with 1 for these differences: "+strings.Join(compare.Kinds, ", ")+"; none for none. Repeatable, or separated by commas. (default all)").
		HintOptions(compare.Kinds...).StringsVar(&o.FailOn)
	return subcommand{c, func() error { return runCompare(os.Stdout, o) }}
}

// compareWithin bounds a comparison.
const compareWithin = 5 * time.Minute

var errDifferences = errors.New("there are differences")

func runCompare(out io.Writer, o compareOptions) error {
	failOn, err := o.kinds()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), compareWithin)
	defer cancel()
	result := &compare.Result{Differences: []compare.Difference{}}
	if len(o.Prometheus) > 0 {
		if result, err = o.targets(ctx); err != nil {
			return err
		}
	}
	if o.Query != "" {
		if err := o.series(ctx, result); err != nil {
			return err
		}
	}
	if o.Output == "json" {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		err = e.Encode(result)
	} else {
		result.Write(out)
	}
	if err == nil && result.Has(failOn) {
		err = errDifferences
	}
	return err
}

// kinds checks the flags, and returns the kinds of differences that make the command fail.
func (o compareOptions) kinds() ([]string, error) {
	switch {
	case !slices.Contains(outputs, o.Output):
		return nil, fmt.Errorf("--output=%s: want %s", o.Output, strings.Join(outputs, " or "))
	case len(o.Prometheus) == 0 && o.Query == "":
		return nil, errors.New("nothing to compare with: give --prometheus=URL, --query=URL or both")
	case o.Query != "" && (o.Old == "" || o.New == ""):
		return nil, errors.New("--query needs --old and --new, which select the series of Prometheus and those of the relay")
	case o.Window <= 0:
		return nil, fmt.Errorf("--window=%s: want more than 0", o.Window)
	case len(o.FailOn) == 0:
		return compare.Kinds, nil
	}
	kinds := strings.Split(strings.Join(o.FailOn, ","), ",")
	for _, k := range kinds {
		if k != "none" && !slices.Contains(compare.Kinds, k) {
			return nil, fmt.Errorf("--fail-on=%s%s", k, config.Suggest(k, append([]string{"none"}, compare.Kinds...)))
		}
	}
	return kinds, nil
}

// targets compares the targets of all --prometheus with those of the relay.
func (o compareOptions) targets(ctx context.Context) (*compare.Result, error) {
	var servers [][]compare.Target
	for _, address := range o.Prometheus {
		var answer targetsAnswer
		if err := (apiClient{address, o.PrometheusHTTP, "prometheus"}).get(ctx, "/api/v1/targets", nil, &answer); err != nil {
			return nil, err
		}
		servers = append(servers, answer.ActiveTargets)
	}
	relay, err := o.relay(ctx)
	if err != nil {
		return nil, err
	}
	return compare.Targets(compare.Merged(servers...), relay), nil
}

func (o compareOptions) series(ctx context.Context, to *compare.Result) error {
	receiver := apiClient{o.Query, o.QueryHTTP, "query"}
	return compare.Question{Old: o.Old, New: o.New, Window: o.Window, At: time.Now()}.Compare(ctx, receiver, to)
}

// targetsAnswer is the answer of /api/v1/targets. Monitors are those of a relay alone.
type targetsAnswer struct {
	ActiveTargets  []compare.Target
	DroppedTargets []struct {
		ScrapePool, Reason string
		DiscoveredLabels   map[string]string
	}
	Monitors []struct {
		Kind, Namespace, Name, Reason string
		State                         targets.State
		Jobs                          []struct{ ScrapePool string }
	}
}

// relay is what the one side that the flags name scrapes.
func (o compareOptions) relay(ctx context.Context) (compare.Relay, error) {
	given := 0
	for _, flag := range []string{o.Relay.URL, o.Manifests, o.Cluster.Kubeconfig} {
		if flag != "" {
			given++
		}
	}
	switch {
	case given != 1:
		return compare.Relay{}, errors.New("want one of --url, --manifests and --kubeconfig: a running relay, a directory, or a cluster")
	case o.Relay.URL != "":
		return o.runningRelay(ctx)
	}
	c, err := targetsOptions{ConfigFile: o.Config}.load()
	if err != nil {
		return compare.Relay{}, err
	}
	var b informers.Backend
	if o.Manifests != "" {
		b, err = manifests.New(o.Manifests, nil)
	} else {
		b, err = readOnlyCluster(o.Cluster)
	}
	if err != nil {
		return compare.Relay{}, err
	}
	return wouldScrape(ctx, c, b)
}

func (o compareOptions) runningRelay(ctx context.Context) (r compare.Relay, err error) {
	var answer targetsAnswer
	if err := o.Relay.get(ctx, "/api/v1/targets", nil, &answer); err != nil {
		return r, err
	}
	r.Targets, r.Monitors = answer.ActiveTargets, map[string]compare.Monitor{}
	for _, m := range answer.Monitors {
		one := compare.Monitor{Reason: m.Reason, Rejected: m.State == targets.Rejected}
		for _, j := range m.Jobs {
			one.Pools = append(one.Pools, j.ScrapePool)
		}
		r.Monitors[owner(targets.Kind(m.Kind), m.Namespace, m.Name)] = one
	}
	for _, d := range answer.DroppedTargets {
		r.Dropped = append(r.Dropped, compare.Dropped{Pool: d.ScrapePool, Reason: d.Reason, Discovered: d.DiscoveredLabels})
	}
	return r, nil
}

func owner(kind targets.Kind, namespace, name string) string {
	return string(kind) + "/" + namespace + "/" + name
}

// wouldScrape is what a relay with the configuration would scrape.
func wouldScrape(ctx context.Context, c *config.Config, b informers.Backend) (r compare.Relay, err error) {
	d, err := informers.New(informers.Options{Backend: b, Offline: true})
	if err != nil {
		return r, err
	}
	if err := d.Apply(c); err != nil {
		return r, err
	}
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	r.Monitors = map[string]compare.Monitor{}
	err = d.Settle(ctx, func() {
		for _, m := range d.Monitors() {
			one := compare.Monitor{Reason: m.Reason + m.Why, Rejected: m.State == targets.Rejected}
			for _, j := range m.Jobs {
				one.Pools = append(one.Pools, j.Job.Name)
				for _, t := range d.Targets(j.Job.Name) {
					r.Targets = append(r.Targets, compare.Target{
						Pool: j.Job.Name, URL: t.ShownURL(), Labels: t.Public().Map(), Discovered: targets.ShownLabels(t.Discovered()).Map(),
						Interval: model.Duration(t.Interval).String(), Timeout: model.Duration(t.Timeout).String(),
					})
				}
				for _, dropped := range j.Dropped {
					r.Dropped = append(r.Dropped, compare.Dropped{Pool: j.Job.Name, Reason: dropped.Reason, Discovered: dropped.Discovered})
				}
			}
			r.Monitors[owner(m.Owner.Kind, m.Owner.Namespace, m.Owner.Name)] = one
		}
	})
	return r, err
}
