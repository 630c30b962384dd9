package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	"go.yaml.in/yaml/v3"

	"promrelay/config"
	"promrelay/informers"
	"promrelay/informers/manifests"
	"promrelay/targets"
)

func init() { config_util.MarshalSecretValue = true }

// relay is a Discovery on a directory of manifests, as the daemon runs it.
type relay struct {
	dir    string
	cfg    *config.Config // that counts
	d      *informers.Discovery
	cancel context.CancelFunc
	done   chan error
}

// newRelay starts on a directory that holds the case's objects. The error is about the settings.
func newRelay(dir string, settings map[string]any) (*relay, error) {
	cfg, err := load(dir, settings)
	if err != nil {
		return nil, err
	}
	return runRelay(dir, cfg, "")
}

// runRelay starts with a configuration, in node mode unless node is empty.
func runRelay(dir string, cfg *config.Config, node string) (*relay, error) {
	backend, err := manifests.New(dir, nil)
	if err != nil {
		panic(err)
	}
	r := &relay{dir: dir, cfg: cfg, done: make(chan error, 1)}
	if r.d, err = informers.New(informers.Options{Backend: backend, Offline: true, Node: node}); err != nil {
		panic(err)
	}
	if err := r.d.Apply(cfg); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() { r.done <- r.d.Run(ctx, nil) }()
	return r, nil
}

func load(dir string, settings map[string]any) (*config.Config, error) {
	if settings["arbitraryFSAccessThroughSMs"] == nil { // the operator's default
		settings = maps.Clone(settings)
		if settings == nil {
			settings = map[string]any{}
		}
		settings["arbitraryFSAccessThroughSMs"] = map[string]any{"deny": false}
	}
	text, err := yaml.Marshal(map[string]any{"monitors": settings, "manifests": map[string]any{"directory": dir}})
	if err != nil {
		return nil, err
	}
	return config.Load(text, dir)
}

// apply changes the settings.
func (r *relay) apply(settings map[string]any) error {
	cfg, err := load(r.dir, settings)
	if err != nil {
		return err
	}
	if err := r.d.Apply(cfg); err != nil {
		return err
	}
	r.cfg = cfg
	return nil
}

// takes tells whether settings are valid, and applies them if they are.
func (r *relay) takes(settings map[string]any) bool { return r.apply(settings) == nil }

// path is the file of an object. It does not change when the object does.
func path(dir string, o object) string {
	return filepath.Join(dir, fmt.Sprintf("%s_%s_%s.json", o.kind(), o.meta("namespace"), o.meta("name")))
}

// write puts an object into the directory in one step.
func write(dir string, o object) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	aside := path(dir, o) + ".tmp"
	if err := os.WriteFile(aside, text, 0o600); err != nil {
		return err
	}
	return os.Rename(aside, path(dir, o))
}

func (r *relay) stop() error {
	r.cancel()
	return <-r.done
}

// settle waits until the relay has processed all that was there at the beginning.
func (r *relay) settle() error {
	deadline := time.Now().Add(30 * time.Second)
	for !r.d.Settled() {
		if time.Now().After(deadline) {
			return errors.New("the relay does not settle within 30 s")
		}
		time.Sleep(2 * time.Millisecond)
	}
	return nil
}

// relayed returns what the relay makes of a case.
func relayed(c *testCase) (*result, error) {
	dir, err := os.MkdirTemp("", "conformance")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var all bytes.Buffer
	for _, o := range c.Objects {
		all.Write(must(o))
		all.WriteString("\n---\n")
	}
	if err := os.WriteFile(filepath.Join(dir, "all.yaml"), all.Bytes(), 0o600); err != nil {
		return nil, err
	}
	r, err := newRelay(dir, c.Settings)
	if err != nil {
		return &result{Error: err.Error(), Monitors: map[string]string{}, Jobs: map[string]job{}}, nil
	}
	err = r.settle()
	var out *result
	if err == nil {
		out, err = r.result()
	}
	return out, errors.Join(err, r.stop())
}

// result returns what the relay has found so far.
func (r *relay) result() (*result, error) {
	out := &result{Monitors: map[string]string{}, Jobs: map[string]job{}, ExternalLabels: r.cfg.Prometheus.GlobalConfig.ExternalLabels.Map()}
	for _, m := range r.d.Monitors() {
		if m.State == targets.Unselected {
			continue
		}
		out.Monitors[fmt.Sprintf("%s %s/%s", m.Owner.Kind, m.Owner.Namespace, m.Owner.Name)] = m.Reason
		for _, found := range m.Jobs {
			j := job{Targets: []target{}}
			for _, t := range r.d.Targets(found.Job.Name) {
				j.Targets = append(j.Targets, target{
					Labels: t.Labels.Map(), URL: t.URL,
					Interval: model.Duration(t.Interval).String(), Timeout: model.Duration(t.Timeout).String(),
				})
			}
			slices.SortFunc(j.Targets, func(a, b target) int { return strings.Compare(a.String(), b.String()) })
			if err := j.describe(found.Job.Config); err != nil {
				return nil, err
			}
			out.Jobs[found.Job.Name] = j
		}
	}
	return out.normal(), nil
}

func (j *job) describe(sc *promconfig.ScrapeConfig) error {
	rest := *sc
	rest.ServiceDiscoveryConfigs, rest.RelabelConfigs = nil, nil
	var others discovery.Configs
	for _, sd := range sc.ServiceDiscoveryConfigs {
		if _, static := sd.(discovery.StaticConfig); !static {
			others = append(others, sd)
		}
	}
	for _, part := range []struct {
		to   *string
		from any
		none bool
	}{
		{&j.Settings, &rest, false},
		{&j.Rules, sc.RelabelConfigs, false},
		{&j.Discovery, &promconfig.ScrapeConfig{ServiceDiscoveryConfigs: others}, len(others) == 0},
	} {
		if part.none {
			continue
		}
		text, err := yaml.Marshal(part.from)
		if err != nil {
			return err
		}
		*part.to = string(text)
	}
	return nil
}
