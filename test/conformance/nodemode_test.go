package conformance

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"

	"promrelay/config"
	"promrelay/informers"
	"promrelay/targets"
)

// TestNodeMode compares the targets of one relay alone with those of a central relay and a relay in node mode on each Node, for random
// cases: together they have the same targets, and none twice.
func TestNodeMode(t *testing.T) {
	var mu sync.Mutex
	count := map[string]int{}
	first := number(t, "SEED", 0)
	each(max(number(t, "CASES", 0)/10, 60), func(i int) {
		seed := uint64(first + i)
		diff, n, err := divided(newGen(seed).testCase(), seed)
		if err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		if len(diff) > 0 {
			t.Errorf("seed %d:\n%s", seed, strings.Join(diff, "\n"))
		}
		mu.Lock()
		defer mu.Unlock()
		for k, v := range n {
			count[k] += v
		}
	})
	t.Log(count)
	for _, k := range []string{"alone", "central", "on Nodes", "podMonitor on Nodes", "podMonitor central"} {
		if count[k] == 0 {
			t.Errorf("no target was %s", k)
		}
	}
}

// divided returns what is wrong with the halves of a case, and how many targets were where.
func divided(c *testCase, seed uint64) (diff []string, n map[string]int, err error) {
	dir, err := os.MkdirTemp("", "nodemode")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir)
	var all bytes.Buffer
	for _, o := range c.Objects {
		all.Write(must(o))
		all.WriteString("\n---\n")
	}
	if err := os.WriteFile(filepath.Join(dir, "all.yaml"), all.Bytes(), 0o600); err != nil {
		return nil, nil, err
	}
	if cfg, err := load(dir, c.Settings); err != nil || informers.Check(cfg) != nil {
		return nil, nil, nil // some random settings are not valid
	}
	nodeMode := map[string]any{"kube_proxy_address": ""}
	if seed%2 == 1 {
		nodeMode["selector"] = "zone!=z1"
	}
	alone, reasons, err := found(dir, c.Settings, nil, "")
	if err != nil || strings.Contains(reasons, "has the same address") { // of two Nodes with one address, one alone has a relay
		return nil, nil, err
	}
	owners, n := map[string]string{}, map[string]int{"alone": len(alone)}
	for _, node := range append([]string{""}, c.nodes()...) {
		half, _, err := found(dir, c.Settings, nodeMode, node)
		if err != nil {
			return nil, nil, err
		}
		where := "on Nodes"
		if node == "" {
			where = "central"
		}
		for _, target := range half {
			if other, twice := owners[target]; twice {
				diff = append(diff, fmt.Sprintf("%q and %q have %s", other, node, target))
			}
			owners[target] = node
			n[where]++
			if strings.HasPrefix(target, "podMonitor/") {
				n["podMonitor "+where]++
			}
		}
	}
	for _, target := range alone {
		if _, ok := owners[target]; !ok {
			diff = append(diff, "nobody has "+target)
		}
		delete(owners, target)
	}
	for target, node := range owners {
		diff = append(diff, fmt.Sprintf("%q has in addition %s", node, target))
	}
	return diff, n, nil
}

// nodes are the names of the Nodes of a case, and of one that does not exist.
func (c *testCase) nodes() []string {
	out := []string{"missing"}
	for _, o := range c.Objects {
		if name := o.meta("name"); o.kind() == "Node" && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// found returns the targets of a relay as text, with the nodes block on, and why others are dropped.
func found(dir string, settings, nodeMode map[string]any, node string) (out []string, reasons string, err error) {
	blocks := map[string]any{"monitors": settings, "manifests": map[string]any{"directory": dir}, "nodes": map[string]any{}}
	if nodeMode != nil {
		blocks["node_mode"] = nodeMode
	}
	text, err := yaml.Marshal(blocks)
	if err != nil {
		return nil, "", err
	}
	cfg, err := config.Load(text, dir)
	if err != nil {
		return nil, "", err
	}
	r, err := runRelay(dir, cfg, node)
	if err != nil {
		return nil, "", err
	}
	if err := r.settle(); err != nil {
		return nil, "", err
	}
	for _, m := range r.d.Monitors() {
		for _, j := range m.Jobs {
			for _, t := range r.d.Targets(j.Job.Name) {
				out = append(out, fmt.Sprintf("%s %s %s", j.Job.Name, t.URL, targets.ShownLabels(t.Labels)))
			}
			for _, d := range j.Dropped {
				reasons += d.Reason
			}
		}
	}
	return out, reasons, r.stop()
}
