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
)

// TestSequences changes objects and settings step by step, SEQUENCES times from SEED on, and compares after each step what
// the relay has then with what it makes of the same from scratch.
func TestSequences(t *testing.T) {
	def := 30
	if testing.Short() {
		def = 5
	}
	first := number(t, "SEED", 0)
	each(number(t, "SEQUENCES", def), func(i int) {
		if err := sequence(uint64(first + i)); err != nil {
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
		if h.chance(0.85) || !changes(o.name()) {
			h.now.Objects = append(h.now.Objects, o)
		}
	}
	return h
}

// changes tells whether objects are changed: Secrets and ConfigMaps are read anew every 10 s only.
func changes(name string) bool {
	return !strings.HasPrefix(name, "Secret ") && !strings.HasPrefix(name, "ConfigMap ")
}

// open makes a monitor take all that there is, with all labels that are attached.
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
	switch o.kind() {
	case "Pod":
		switch h.IntN(3) {
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

// step changes one thing, and says what.
func (h *history) step(r *relay) (string, error) {
	if h.chance(0.05) {
		h.now.Settings = newGen(h.Uint64()).testCase().Settings
		if err := r.apply(h.now.Settings); err != nil {
			return "", skip{err}
		}
		return "other settings", nil
	}
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(h.pool)), func(n string) bool { return !changes(n) })
	name := pick(h.gen, names...)
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

// skip is an error that ends a sequence and means nothing: the settings cannot be.
type skip struct{ error }

// sequence returns an error where the relay is not, some time after a step, as it is from scratch.
func sequence(seed uint64) error {
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
	err = h.follow(r)
	if s := (skip{}); errors.As(err, &s) {
		err = nil
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

// becomes waits until the relay has found what is wanted.
func (r *relay) becomes(want *result) error {
	deadline := time.Now().Add(20 * time.Second) // Secrets are read every 10 s
	for {
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
