package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"promrelay/config/redact"
)

// object is a Kubernetes object, as decoded JSON.
type object map[string]any

func (o object) kind() string { s, _ := o["kind"].(string); return s }

func (o object) meta(field string) string {
	m, _ := o["metadata"].(map[string]any)
	s, _ := m[field].(string)
	return s
}

// name is "Kind namespace/name", or "Kind name".
func (o object) name() string {
	if ns := o.meta("namespace"); ns != "" {
		return o.kind() + " " + ns + "/" + o.meta("name")
	}
	return o.kind() + " " + o.meta("name")
}

func (o object) monitor() bool {
	return slices.Contains([]string{"ServiceMonitor", "PodMonitor", "Probe", "ScrapeConfig"}, o.kind())
}

// testCase is the settings and objects that both sides are given. The oracle reads it as JSON.
type testCase struct {
	Settings map[string]any `json:"settings"` // the block monitors of the configuration, which is PrometheusAgent.spec
	Home     string         `json:"home"`
	Objects  []object       `json:"objects"`
}

// home is the namespace of objects without one in a directory of manifests.
const home = "default"

func (c *testCase) clone() *testCase {
	out := &testCase{}
	if err := json.Unmarshal(must(c), out); err != nil {
		panic(err)
	}
	return out
}

// yaml writes the case as people read it: settings first, then the objects.
func (c *testCase) yaml() []byte {
	var out bytes.Buffer
	for i, doc := range append([]object{c.Settings}, c.Objects...) {
		text, err := yaml.Marshal(doc)
		if err != nil {
			panic(err)
		}
		if i > 0 {
			out.WriteString("---\n")
		}
		out.Write(text)
	}
	return out.Bytes()
}

// readCase reads what yaml writes.
func readCase(path string) (*testCase, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c := &testCase{Home: home, Settings: map[string]any{}}
	for i, doc := range strings.Split("\n"+string(text), "\n---\n") {
		o := object{}
		if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
			return nil, fmt.Errorf("%s: document %d: %w", path, i, err)
		}
		if i == 0 {
			c.Settings = o
		} else {
			c.Objects = append(c.Objects, o)
		}
	}
	return c.clone(), nil // so that numbers are as JSON has them
}

// result is what one side makes of a case.
type result struct {
	Error    string            `json:"error,omitempty"` // why there is no configuration at all
	Monitors map[string]string `json:"monitors"`        // why they are rejected, empty if they are not
	Jobs     map[string]job    `json:"jobs"`
	// ExternalLabels are the external labels of the configuration.
	ExternalLabels map[string]string `json:"externalLabels,omitempty"`
	// Configuration is what the operator writes for a PrometheusAgent.
	Configuration string `json:"configuration,omitempty"`
}

type job struct {
	Settings  string   `json:"settings"` // YAML
	Rules     string   `json:"rules"`    // YAML
	Discovery string   `json:"discovery,omitempty"`
	Targets   []target `json:"targets"`
}

type target struct {
	Labels   map[string]string `json:"labels"`
	URL      string            `json:"url"`
	Interval string            `json:"interval"`
	Timeout  string            `json:"timeout"`
}

func (t target) String() string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(t.Labels)) {
		fmt.Fprintf(&b, " %s=%q", k, t.Labels[k])
	}
	shown := redact.URL(t.URL) // as the relay shows it
	return fmt.Sprintf("%s every %s within %s%s", shown, t.Interval, t.Timeout, b.String())
}

// stricter are refusals by the relay of limits that the operator accepts, and that then fail for each monitor or have no effect.
var stricter = regexp.MustCompile(`is negative; 0 means no limit|is no size: want one such as`)

// differences lists where results differ. Reasons are not compared, since each side has its own words. If the verdicts on a monitor
// differ, its jobs are not compared.
func differences(oracle, relay *result) (out []string) {
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if oracle.Error == "" && stricter.MatchString(relay.Error) {
		return out
	}
	if (oracle.Error == "") != (relay.Error == "") {
		say("configuration: oracle %q, relay %q", oracle.Error, relay.Error)
		return out
	}
	if a, b := oracle.ExternalLabels, relay.ExternalLabels; !maps.Equal(a, b) {
		say("external labels: oracle %v, relay %v", a, b)
	}
	differing := map[string]bool{} // the verdicts differ
	for _, m := range union(oracle.Monitors, relay.Monitors) {
		a, inOracle := oracle.Monitors[m]
		b, inRelay := relay.Monitors[m]
		switch {
		case inOracle != inRelay:
			say("%s: selected by oracle %v, by relay %v", m, inOracle, inRelay)
		case (a == "") != (b == ""):
			say("%s: oracle %s, relay %s", m, verdict(a), verdict(b))
		default:
			continue
		}
		differing[m] = true
	}
	for _, name := range union(oracle.Jobs, relay.Jobs) {
		a, inOracle := oracle.Jobs[name]
		b, inRelay := relay.Jobs[name]
		switch {
		case differing[monitorOf(name)]:
		case inOracle != inRelay:
			say("%s: a job of oracle %v, of relay %v", name, inOracle, inRelay)
		default:
			out = append(out, jobDifferences(name, a, b)...)
		}
	}
	return out
}

func jobDifferences(name string, a, b job) (out []string) {
	say := func(what, how string) { out = append(out, fmt.Sprintf("%s: %s\n%s", name, what, how)) }
	switch {
	case a.Settings != b.Settings:
		say("settings", unlike(strings.Split(a.Settings, "\n"), strings.Split(b.Settings, "\n")))
	case a.Rules != b.Rules:
		say("rules", unlike(rules(a.Rules), rules(b.Rules)))
	case a.Discovery != b.Discovery:
		say("discovery", unlike(strings.Split(a.Discovery, "\n"), strings.Split(b.Discovery, "\n")))
	}
	if x, y := lines(a.Targets), lines(b.Targets); !slices.Equal(x, y) {
		say("targets", unlike(x, y))
	}
	return out
}

// monitorOf returns the monitor that a job is of: "ServiceMonitor default/a" for serviceMonitor/default/a/0.
func monitorOf(job string) string {
	parts := strings.Split(job, "/")
	if len(parts) < 3 {
		return ""
	}
	return strings.ToUpper(parts[0][:1]) + parts[0][1:] + " " + parts[1] + "/" + parts[2]
}

func rules(s string) []string { return strings.Split(s, "\n- ") }

func verdict(reason string) string {
	if reason == "" {
		return "accepts"
	}
	return fmt.Sprintf("rejects (%s)", reason)
}

func union[V any](a, b map[string]V) []string {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]V{}
	}
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

func lines(ts []target) []string {
	var out []string
	for _, t := range ts {
		out = append(out, t.String())
	}
	slices.Sort(out)
	return out
}

// unlike returns the lines that only one of two texts has.
func unlike(oracle, relay []string) string {
	var b strings.Builder
	show := func(who string, lines, others []string) {
		n := map[string]int{}
		for _, l := range others {
			n[l]++
		}
		for _, l := range lines {
			if n[l]--; n[l] < 0 {
				fmt.Fprintf(&b, "\t%s\t%s\n", who, l)
			}
		}
	}
	show("oracle", oracle, relay)
	show("relay", relay, oracle)
	if b.Len() == 0 {
		b.WriteString("\tthe order differs\n")
	}
	return b.String()
}

// normal removes what may differ: the label by which the operator shards where there are no shards, and what is only written in another
// way.
func (r *result) normal() *result {
	for name, j := range r.Jobs {
		for _, t := range j.Targets {
			delete(t.Labels, "__tmp_hash")
		}
		j.Rules = strings.ReplaceAll(j.Rules, "  regex: (.*)\n", "") // the default, whether it is said or not
		for _, text := range []*string{&j.Settings, &j.Discovery} {
			*text = noProxy.ReplaceAllString(*text, "")
		}
		r.Jobs[name] = j
	}
	return r
}

// noProxy is a proxy URL that means no proxy.
var noProxy = regexp.MustCompile(`(?m)^ *proxy_url: ""\n`)

func must(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}
