package test

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/prometheus/client_golang/prometheus"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	config_util "github.com/prometheus/common/config"
	promconfig "github.com/prometheus/prometheus/config"

	"promrelay/config"
	"promrelay/informers"
	"promrelay/informers/manifests"
	"promrelay/relay"
	"promrelay/scrape"
	"promrelay/scrape/order"
	"promrelay/wal"
)

const metricReference = "docs/metrics.md"

// built are the rooms whose metrics are taken from their collectors. Those of other rooms are taken from the source.
var built = []string{"wal", "relay", "scrape", "informers"}

// metric is one line of the reference.
type metric struct {
	name, typ, help string
	labels          []string
	values          map[string][]string // of the labels whose series exist from the start
}

// capture is a Registerer that records what is registered.
type capture struct {
	*prometheus.Registry
	metrics map[string]metric
}

func newCapture() *capture { return &capture{prometheus.NewPedanticRegistry(), map[string]metric{}} }

func (c *capture) MustRegister(cs ...prometheus.Collector) {
	for _, x := range cs {
		if err := c.Register(x); err != nil {
			panic(err)
		}
	}
}

func (c *capture) Register(x prometheus.Collector) error {
	descs := make(chan *prometheus.Desc, 100)
	x.Describe(descs)
	close(descs)
	for d := range descs {
		m, err := parseDesc(d.String())
		if err != nil {
			return err
		}
		switch x.(type) {
		case *prometheus.CounterVec:
			m.typ = "counter"
		case *prometheus.GaugeVec:
			m.typ = "gauge"
		case *prometheus.HistogramVec:
			m.typ = "histogram"
		}
		c.metrics[m.name] = m
	}
	return c.Registry.Register(x)
}

var descText = regexp.MustCompile(`^Desc\{fqName: ("(?:[^"\\]|\\.)*"), help: ("(?:[^"\\]|\\.)*"), .*variableLabels: \{([^}]*)\}\}$`)

// parseDesc reads the text of a Desc, which has no getters.
func parseDesc(s string) (m metric, err error) {
	p := descText.FindStringSubmatch(s)
	if p == nil {
		return m, fmt.Errorf("cannot read %s", s)
	}
	if m.name, err = strconv.Unquote(p[1]); err != nil {
		return m, err
	}
	if m.help, err = strconv.Unquote(p[2]); err != nil {
		return m, err
	}
	if p[3] != "" {
		m.labels = strings.Split(p[3], ",")
	}
	return m, nil
}

// fromCollectors builds the rooms and returns what they register.
func fromCollectors(t *testing.T) map[string]metric {
	t.Helper()
	c := newCapture()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w, err := wal.Open(wal.Options{Dir: t.TempDir(), Registerer: c})
	ok(err)
	defer func() { ok(w.Close()) }()
	r, err := relay.New(relay.Options{WAL: w, Registerer: c})
	ok(err)
	rw := promconfig.DefaultRemoteWriteConfig
	rw.Name, rw.URL = "any", &config_util.URL{URL: &url.URL{Scheme: "http", Host: "receiver.example.com"}}
	ok(r.Apply(relay.Settings{Destinations: []config.Destination{{RemoteWriteConfig: &rw}}})) // some exist for each destination only
	_, err = scrape.New(scrape.Options{Log: w, Guard: order.New(), Registerer: c})
	ok(err)
	m, err := manifests.New(t.TempDir(), nil)
	ok(err)
	_, err = informers.New(informers.Options{Backend: m, Registerer: c})
	ok(err)
	c.MustRegister(versioncollector.NewCollector(module))
	families, err := c.Gather()
	ok(err)
	for _, f := range families {
		m := c.metrics[f.GetName()]
		m.typ = strings.ToLower(f.GetType().String())
		m.values = map[string][]string{}
		for _, one := range f.GetMetric() {
			for _, l := range one.GetLabel() {
				if name := l.GetName(); name != "destination" && !slices.Contains(m.values[name], l.GetValue()) {
					m.values[name] = append(m.values[name], l.GetValue())
				}
			}
		}
		c.metrics[m.name] = m
	}
	return c.metrics
}

var constructor = regexp.MustCompile(`^New(Counter|Gauge|Histogram|Summary)(Vec|Func)?$`)

// fromSource finds metrics whose name and help are literals where the metric is made.
func fromSource(files []source) (map[string]metric, error) {
	out := map[string]metric{}
	var failed error
	for _, f := range files {
		ast.Inspect(f.File, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !constructor.MatchString(sel.Sel.Name) || len(call.Args) == 0 {
				return true
			}
			opts, ok := call.Args[0].(*ast.CompositeLit)
			if !ok {
				return true
			}
			m := metric{typ: strings.ToLower(constructor.FindStringSubmatch(sel.Sel.Name)[1])}
			for _, e := range opts.Elts {
				kv, ok := e.(*ast.KeyValueExpr)
				if !ok {
					continue
				}
				switch fmt.Sprint(kv.Key) {
				case "Name":
					m.name = literal(kv.Value)
				case "Help":
					m.help = literal(kv.Value)
				}
			}
			if len(call.Args) > 1 {
				ast.Inspect(call.Args[1], func(n ast.Node) bool {
					if l, ok := n.(*ast.BasicLit); ok {
						m.labels = append(m.labels, literal(l))
					}
					return true
				})
			}
			if m.name == "" || m.help == "" {
				failed = cmp.Or(failed, fmt.Errorf("%s/%s: the name and the help of a metric are to stand where it is made, "+
					"or its room among those that are built here", f.dir, f.name))
			}
			out[m.name] = m
			return true
		})
	}
	return out, failed
}

func literal(e ast.Expr) string {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return ""
	}
	s, err := strconv.Unquote(l.Value)
	if err != nil {
		return ""
	}
	return s
}

// allMetrics returns the metrics of the relay by name.
func allMetrics(t *testing.T) map[string]metric {
	t.Helper()
	all := fromCollectors(t)
	files, err := survey(repositoryFS())
	if err != nil {
		t.Fatal(err)
	}
	files = slices.DeleteFunc(files, func(f source) bool {
		return f.test() || slices.Contains(built, f.room()) || slices.Contains(outside, f.room())
	})
	more, err := fromSource(files)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(all, more)
	return all
}

// render writes the reference.
func render(metrics map[string]metric) []byte {
	var b bytes.Buffer
	b.WriteString(`# Metrics

<!-- Written by "make update-docs". Do not edit. -->

All metrics of the relay, as ` + "`/metrics`" + ` gives them. Beside them stand those of the Go runtime (` + "`go_*`" + `), of the process (` + "`process_*`" + `)
and of Prometheus's service discovery (` + "`prometheus_*`" + `), which are not described here. docs/operations.md says which to alert on.
The label ` + "`destination`" + ` is the name of a ` + "`remote_write`" + ` block, or the host of its URL and a hash if it has no name.

| metric | type | labels | meaning |
|---|---|---|---|
`)
	for _, name := range slices.Sorted(maps.Keys(metrics)) {
		m := metrics[name]
		var labels []string
		for _, l := range m.labels {
			text := "`" + l + "`"
			if values := m.values[l]; len(values) > 0 {
				slices.Sort(values)
				text += ": " + strings.Join(values, ", ")
			}
			labels = append(labels, text)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.name, m.typ, strings.Join(labels, "; "), strings.ReplaceAll(m.help, "|", `\|`))
	}
	return b.Bytes()
}

// TestMetricReference compares docs/metrics.md with the code.
func TestMetricReference(t *testing.T) {
	all := allMetrics(t)
	for _, m := range all {
		switch {
		case !strings.HasPrefix(m.name, module+"_"):
			t.Errorf("%s does not begin with %s_", m.name, module)
		case m.typ == "":
			t.Errorf("the type of %s is not known", m.name)
		case m.help == "" || !strings.HasSuffix(m.help, ".") && m.name != "promrelay_build_info":
			t.Errorf("%s: help %q", m.name, m.help)
		case (m.typ == "counter") != strings.HasSuffix(m.name, "_total"):
			t.Errorf("%s is a %s", m.name, m.typ)
		}
	}
	want := render(all)
	file := filepath.Join(repository, metricReference)
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is stale: run make update-docs", metricReference)
	}
}

// TestFromSource shows that a metric is found in the source, and that one whose name is computed is an error.
func TestFromSource(t *testing.T) {
	parse := func(text string) []source {
		files, err := survey(fstest.MapFS{"web/x.go": {Data: []byte(text)}})
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	got, err := fromSource(parse(`package x
var a = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "promrelay_a", Help: "An a."}, []string{"x", "y"})`))
	if m := got["promrelay_a"]; err != nil || m.typ != "gauge" || m.help != "An a." || !slices.Equal(m.labels, []string{"x", "y"}) {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := fromSource(parse(`package x
var a = prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + "a", Help: "An a."})`)); err == nil {
		t.Error("a name that is put together was found")
	}
}

// TestCollectorsAreIndependent demands that nothing is registered twice or globally.
func TestCollectorsAreIndependent(t *testing.T) {
	before, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	a, b := fromCollectors(t), fromCollectors(t)
	after, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if len(a) != len(b) || len(before) != len(after) {
		t.Errorf("%d and %d metrics; %d and %d global families", len(a), len(b), len(before), len(after))
	}
}

// TestOneRegistry demands that rooms register with the registry that is guarded against panics, and make none of their own. Informers
// makes one where it is given none.
func TestOneRegistry(t *testing.T) {
	files, err := survey(repositoryFS())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		if _, room := floors[f.room()]; !room || f.test() {
			continue
		}
		ast.Inspect(f.File, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if ok && fmt.Sprint(sel.X) == "prometheus" && slices.Contains([]string{"NewRegistry", "NewPedanticRegistry", "DefaultRegisterer"}, sel.Sel.Name) {
				got = append(got, f.dir+"/"+f.name)
			}
			return true
		})
	}
	slices.Sort(got)
	if want := []string{"informers/sd/manager.go", "web/registry.go"}; !slices.Equal(got, want) {
		t.Errorf("registries are made in %v, want %v: register with web.Registry", got, want)
	}
}
