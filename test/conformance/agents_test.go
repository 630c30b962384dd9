package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/common/promslog"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"go.yaml.in/yaml/v3"

	"promrelay/config"
	"promrelay/config/agent"
)

// agentCase is a PrometheusAgent, with the Secrets and ConfigMaps that it names.
type agentCase struct {
	object *agent.Object
	values map[agent.Ref]string
	asked  map[string]any // what the oracle is asked
}

func readAgentCase(t *testing.T, path string) agentCase {
	t.Helper()
	all, err := readCase(path) // the first document is the object
	if err != nil {
		t.Fatal(err)
	}
	first := object(all.Settings)
	c := agentCase{values: map[agent.Ref]string{}, asked: map[string]any{"settings": first["spec"], "home": first.meta("namespace"), "name": first.meta("name"), "objects": all.Objects}}
	if c.object, err = agent.Decode(must(all.Settings)); err != nil {
		t.Fatal(err)
	}
	for _, o := range all.Objects {
		for _, field := range []string{"data", "stringData"} {
			data, _ := o[field].(map[string]any)
			for key, v := range data {
				c.values[agent.Ref{ConfigMap: o.kind() == "ConfigMap", Name: o.meta("name"), Key: key}], _ = v.(string)
			}
		}
	}
	return c
}

func (c agentCase) value(r agent.Ref) (string, error) {
	v, ok := c.values[r]
	if !ok {
		return "", fmt.Errorf("the case has no %s", r)
	}
	return v, nil
}

// translated is the configuration that the object becomes, as Prometheus loads it. Without inline, the files that it names are put into it.
func (c agentCase) translated(t *testing.T, inline bool) *promconfig.Config {
	t.Helper()
	r, err := agent.Translate(c.object, agent.Options{Inline: inline, Value: c.value})
	if err != nil {
		t.Fatal(err)
	}
	text, err := r.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(text, ""); err != nil {
		t.Errorf("the relay refuses it: %v\n%s", err, text)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	if !inline {
		c.putIn(doc.Content[0])
	}
	top := doc.Content[0]
	for i := len(top.Content) - 2; i >= 0; i -= 2 {
		if key := top.Content[i].Value; key == "monitors" || key == "wal" { // Prometheus does not know them
			top.Content = slices.Delete(top.Content, i, i+2)
		}
	}
	if text, err = yaml.Marshal(&doc); err != nil {
		t.Fatal(err)
	}
	out := loadPrometheus(t, string(text))
	out.ScrapeConfigs = slices.DeleteFunc(out.ScrapeConfigs, func(c *promconfig.ScrapeConfig) bool { return c.JobName == agent.OwnJob })
	return out
}

// putIn replaces the paths of mounted files by what is in them.
func (c agentCase) putIn(n *yaml.Node) {
	for i, in := range n.Content {
		c.putIn(in)
		if n.Kind != yaml.MappingNode || i%2 == 0 {
			continue
		}
		for _, configMap := range []bool{false, true} {
			directory := map[bool]string{false: "/etc/promrelay-secrets/", true: "/etc/promrelay-configmaps/"}[configMap]
			path, ok := strings.CutPrefix(in.Value, directory)
			if name, key, _ := strings.Cut(path, "/"); ok {
				in.SetString(c.values[agent.Ref{ConfigMap: configMap, Name: name, Key: key}])
				n.Content[i-1].Value = strings.TrimSuffix(n.Content[i-1].Value, "_file")
			}
		}
	}
}

func loadPrometheus(t *testing.T, text string) *promconfig.Config {
	t.Helper()
	c, err := promconfig.Load(text, promslog.NewNopLogger())
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return c
}

// unlikeOperator forgets two things of destinations. One is what metadata_config says with 2.0: the operator always writes false, since
// Prometheus then sends metadata in any case; in the relay false counts, so that it stays what the object says. The other is the capacity of
// the queue, which has no effect in the relay and is left out.
func unlikeOperator(c *promconfig.Config) {
	for _, rw := range c.RemoteWriteConfigs {
		rw.QueueConfig.Capacity = 0
		if rw.ProtobufMessage == "io.prometheus.write.v2.Request" {
			rw.MetadataConfig.Send = false
		}
	}
}

// TestAgents compares the blocks that a PrometheusAgent becomes with what the operator writes for it: remote_write, global and the jobs of
// additionalScrapeConfigs.
func TestAgents(t *testing.T) {
	paths, err := filepath.Glob("testdata/agents/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	same := cmp.Options{
		cmpopts.EquateEmpty(),
		cmp.Exporter(func(typ reflect.Type) bool { return strings.HasPrefix(typ.PkgPath(), "github.com/prometheus/") }),
		cmp.Comparer(func(a, b relabel.Regexp) bool { return a.String() == b.String() }),
		cmp.Comparer(labels.Equal),
		cmpopts.IgnoreUnexported(config_util.ProxyConfig{}), // a function that it keeps
		cmp.Comparer(func(a, b config_util.URL) bool { return fmt.Sprint(a.URL) == fmt.Sprint(b.URL) }),
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			c := readAgentCase(t, path)
			text, err := os.ReadFile(strings.TrimSuffix(path, ".yaml") + ".operator.yml")
			if err != nil {
				t.Fatal(err)
			}
			want := loadPrometheus(t, string(text))
			for _, inline := range []bool{true, false} {
				if filepath.Base(path) == "unmounted.yaml" && !inline {
					continue // Prometheus takes these secrets from no file; config/agent has a test
				}
				got := c.translated(t, inline)
				unlikeOperator(got)
				unlikeOperator(want)
				for _, part := range []struct{ want, got any }{
					{want.RemoteWriteConfigs, got.RemoteWriteConfigs}, {want.ScrapeConfigs, got.ScrapeConfigs}, {want.Runtime, got.Runtime},
				} {
					if d := cmp.Diff(part.want, part.got, same); d != "" {
						t.Errorf("inline %v: operator -, relay +\n%s", inline, d)
					}
				}
				if len(want.ScrapeConfigs) == 0 { // monitors have all of global themselves
					want.GlobalConfig, got.GlobalConfig = promconfig.GlobalConfig{ExternalLabels: want.GlobalConfig.ExternalLabels}, promconfig.GlobalConfig{ExternalLabels: got.GlobalConfig.ExternalLabels}
				}
				if d := cmp.Diff(want.GlobalConfig, got.GlobalConfig, same); d != "" {
					t.Errorf("inline %v: operator -, relay +\n%s", inline, d)
				}
			}
		})
	}
}

// TestAgentsOracle compares the stored configurations of the operator with the oracle.
func TestAgentsOracle(t *testing.T) {
	if os.Getenv("CASES") == "" && os.Getenv("UPDATE") == "" {
		t.Skip("CASES is not given; make conformance gives it")
	}
	o := newOracle(t)
	paths, err := filepath.Glob("testdata/agents/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		r, err := o.askAny(readAgentCase(t, path).asked)
		if err != nil || r.Error != "" {
			t.Fatalf("%s: %v%s", path, err, r.Error)
		}
		kept := strings.TrimSuffix(path, ".yaml") + ".operator.yml"
		old, _ := os.ReadFile(kept)
		switch {
		case string(old) == r.Configuration:
		case os.Getenv("UPDATE") != "":
			if err := os.WriteFile(kept, []byte(r.Configuration), 0o644); err != nil { //nolint:gosec // part of the repository
				t.Fatal(err)
			}
		default:
			t.Errorf("%s is not what comes out: UPDATE=1 writes it anew", kept)
		}
	}
}
