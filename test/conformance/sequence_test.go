package conformance

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"promrelay/targets"
)

// TestSequences changes objects and settings step by step, SEQUENCES times from SEED on. After each step it compares the state of the
// relay with that of a relay that starts with the same objects.
func TestSequences(t *testing.T) {
	def := 30
	if testing.Short() {
		def = 5
	}
	first := number(t, "SEED", 0)
	var o *oracle
	if os.Getenv("CASES") != "" {
		o = newOracle(t)
	}
	each(number(t, "SEQUENCES", def), func(i int) {
		var at *oracle
		if i%10 == 0 {
			at = o
		}
		if err := sequence(uint64(first+i), at); err != nil {
			t.Errorf("seed %d: %v", first+i, err)
		}
	})
}

const steps = 12

// history is a case that changes.
type history struct {
	*gen
	now  *testCase
	pool map[string][]object // states that objects may have, by name
}

// newHistory begins with part of a case. Objects may change in small ways, and become what others of their names are in another case.
func newHistory(seed uint64) *history {
	h := &history{gen: newGen(seed), pool: map[string][]object{}}
	first := newGen(seed).testCase()
	for _, o := range first.Objects {
		if o.monitor() && h.chance(0.7) {
			h.open(o)
		}
	}
	h.twins(first)
	for _, c := range []*testCase{first, newGen(seed + 1<<32).testCase()} {
		for _, o := range c.Objects {
			if len(h.pool[o.name()]) == 0 {
				h.pool[o.name()] = append(h.pool[o.name()], o, h.variant(o), h.variant(o))
			} else {
				h.pool[o.name()] = append(h.pool[o.name()], o)
			}
		}
	}
	if h.chance(0.3) {
		first.Settings["serviceMonitorNamespaceSelector"], first.Settings["podMonitorNamespaceSelector"] = h.teams(), h.teams()
	}
	h.now = &testCase{Home: home, Settings: first.Settings}
	for _, o := range first.Objects {
		often := 0.85
		if o.monitor() { // some come when all that they ask for is there
			often = 0.6
		}
		if h.chance(often) {
			h.now.Objects = append(h.now.Objects, o)
		}
	}
	return h
}

// twins adds slices that have the targets of others: these stay when one of the two goes.
func (h *history) twins(c *testCase) {
	for _, o := range slices.Clone(c.Objects) {
		if o.kind() == "EndpointSlice" && h.chance(0.3) {
			twin := (&testCase{Objects: []object{o}}).clone().Objects[0]
			twin["metadata"].(dict)["name"] = o.meta("name") + "-twin"
			c.Objects = append(c.Objects, twin)
		}
	}
}

// open makes a monitor select everything, and attach all metadata.
func (h *history) open(o object) {
	spec, _ := o["spec"].(dict)
	all := []any{
		dict{"action": "labelmap", "regex": "__meta_kubernetes_(pod_label.*|service_label.*|node_label.*|pod_phase|pod_node_name|endpointslice_endpoint_.*)"},
	}
	for _, list := range []string{"endpoints", "podMetricsEndpoints"} {
		es, _ := spec[list].([]any)
		for _, e := range es {
			e := e.(dict)
			delete(e, "port")
			delete(e, "targetPort")
			delete(e, "portNumber")
			e["relabelings"] = all
			spec["selector"], spec["namespaceSelector"], spec["attachMetadata"] = dict{}, dict{"any": true}, dict{"node": h.chance(0.5)}
			delete(spec, "selectorMechanism")
		}
	}
}

// variant returns an object with a small change.
func (h *history) variant(of object) object {
	o := (&testCase{Objects: []object{of}}).clone().Objects[0]
	m := o["metadata"].(dict)
	spec, _ := o["spec"].(dict)
	status, _ := o["status"].(dict)
	if h.chance(0.3) || o.monitor() && h.chance(0.5) {
		h.mutateObject(o)
		return o
	}
	switch o.kind() {
	case "Secret", "ConfigMap":
		h.rotate(o)
	case "Pod":
		switch h.IntN(4) {
		case 3: // another of the same name
			m["uid"], status["podIP"] = "uid-again", fmt.Sprintf("10.0.77.%d", h.IntN(9))
		case 0:
			status["phase"] = pick(h.gen, "Running", "Failed", "Pending")
		case 1:
			spec["nodeName"] = fmt.Sprintf("node%d", h.IntN(3))
		case 2:
			m["labels"] = h.labels()
		}
	case "Service", "Ingress", "Endpoints":
		m["labels"] = h.labels()
	case "Node":
		m["labels"] = dict{"zone": pick(h.gen, "z1", "z2", "z3")}
	case "Namespace":
		m["labels"] = dict{"team": pick(h.gen, "a", "b")}
	case "EndpointSlice":
		if es, ok := o["endpoints"].([]any); ok && len(es) > 0 {
			if h.chance(0.5) {
				o["endpoints"] = es[1:]
			} else {
				es[0].(dict)["conditions"] = dict{"ready": h.chance(0.5)}
			}
		}
	default:
		m["labels"] = dict{"team": pick(h.gen, "a", "b")}
	}
	return o
}

// step changes one thing, and returns what.
func (h *history) step(r *relay) (string, error) {
	if h.chance(0.1) {
		next := newGen(h.Uint64()).testCase().Settings
		if !r.takes(next) {
			return "settings that are refused", nil
		}
		h.now.Settings = next
		return "other settings", nil
	}
	name := pick(h.gen, slices.Sorted(maps.Keys(h.pool))...)
	i := slices.IndexFunc(h.now.Objects, func(o object) bool { return o.name() == name })
	next := pick(h.gen, h.pool[name]...)
	switch {
	case i < 0:
		h.now.Objects = append(h.now.Objects, next)
		return "added " + name, write(r.dir, next)
	case h.chance(0.25):
		gone := h.now.Objects[i]
		h.now.Objects = slices.Delete(slices.Clone(h.now.Objects), i, i+1)
		return "removed " + name, os.Remove(path(r.dir, gone))
	}
	h.now.Objects[i] = next
	return "edited " + name, write(r.dir, next)
}

// sequence returns an error if the relay, some time after a step, is not as one that starts from scratch. The end is compared with the
// oracle, if there is one.
func sequence(seed uint64, o *oracle) error {
	h := newHistory(seed)
	dir, err := os.MkdirTemp("", "sequence")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, o := range h.now.Objects {
		if err := write(dir, o); err != nil {
			return err
		}
	}
	r, err := newRelay(dir, h.now.Settings)
	if err != nil {
		return nil
	}
	if err = h.follow(r); err == nil && o != nil {
		err = h.end(r, o)
	}
	return errors.Join(err, r.stop())
}

func (h *history) follow(r *relay) error {
	if err := r.settle(); err != nil {
		return err
	}
	var done []string
	for range steps {
		for range 1 + h.IntN(2) { // some changes come together
			what, err := h.step(r)
			if err != nil {
				return err
			}
			done = append(done, what)
		}
		want, err := relayed(h.now)
		if err != nil {
			return err
		}
		if err := r.becomes(want); err != nil {
			return fmt.Errorf("after %s: %w", strings.Join(done, ", "), err)
		}
	}
	return nil
}

// end compares the last state with the oracle.
func (h *history) end(r *relay, o *oracle) error {
	if h.beyond() {
		return nil
	}
	want, err := o.askByRoles(h.now)
	if err != nil {
		return err
	}
	got, err := r.result()
	if err != nil {
		return err
	}
	if diff := differences(want, got); len(diff) > 0 {
		return fmt.Errorf("at the end: %s\n%s", strings.Join(diff, "\n"), h.now.yaml())
	}
	return nil
}

// beyond tells whether the case has what occurs in sequences only and may differ: a Namespace without an object, or a scrape class
// without its Secret.
func (h *history) beyond() bool {
	if classSecrets(h.now.Settings) {
		return true
	}
	return slices.ContainsFunc(namespaceNames, func(ns string) bool {
		return !slices.ContainsFunc(h.now.Objects, func(o object) bool { return o.kind() == "Namespace" && o.meta("name") == ns })
	})
}

// hurry has Secrets and ConfigMaps read now instead of every 10 s.
func (r *relay) hurry() {
	for _, m := range r.d.Monitors() {
		r.d.Hurry(&targets.Target{Job: &targets.Job{Owner: m.Owner}})
	}
}

// becomes waits until the relay has the wanted result.
func (r *relay) becomes(want *result) error {
	deadline := time.Now().Add(20 * time.Second) // Secrets are read every 10 s
	for {
		r.hurry()
		got, err := r.result()
		if err != nil {
			return err
		}
		if reflect.DeepEqual(want, got) {
			return nil
		}
		if time.Now().After(deadline) {
			diff := differences(want, got)
			if len(diff) == 0 {
				diff = []string{fmt.Sprintf("reasons: from scratch %v, in steps %v", want.Monitors, got.Monitors)}
			}
			return fmt.Errorf("from scratch (\"oracle\") it is not as in steps (\"relay\"): %s", strings.Join(diff, "\n"))
		}
		time.Sleep(10 * time.Millisecond)
	}
}
