package conformance

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// shrink removes objects and fields as long as the case still differs, and returns the rest.
func shrink(c *testCase, differs func(*testCase) bool) *testCase {
	for again := true; again; {
		again = false
		for i := len(c.Objects) - 1; i >= 0; i-- {
			less := c.clone()
			less.Objects = slices.Delete(less.Objects, i, i+1)
			if differs(less) {
				c, again = less, true
			}
		}
		for _, at := range parts(c) {
			if less, ok := cut(c, at); ok && differs(less) {
				c, again = less, true
			}
		}
	}
	return c
}

// place is a path in a case: keys and indexes, from the settings or an object on.
type place struct {
	object int // -1 for the settings
	path   []any
}

// parts lists what may be removed, large parts first.
func parts(c *testCase) (out []place) {
	var visit func(object int, path []any, v any)
	visit = func(object int, path []any, v any) {
		step := func(k, v any) {
			at := append(slices.Clone(path), k)
			out = append(out, place{object, at})
			visit(object, at, v)
		}
		switch v := v.(type) {
		case dict:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				if len(path) > 0 || k != "apiVersion" && k != "kind" && k != "metadata" {
					step(k, v[k])
				}
			}
		case []any:
			for i := len(v) - 1; i >= 0; i-- {
				step(i, v[i])
			}
		}
	}
	visit(-1, nil, c.Settings)
	for i, o := range c.Objects {
		visit(i, nil, dict(o))
		if m, ok := o["metadata"].(dict); ok && m["labels"] != nil {
			visit(i, []any{"metadata", "labels"}, m["labels"])
		}
	}
	return out
}

// cut returns the case without the value at a place; false if there is none.
func cut(c *testCase, at place) (*testCase, bool) {
	less := c.clone()
	var in any = less.Settings
	if at.object >= 0 {
		if at.object >= len(less.Objects) {
			return nil, false
		}
		in = dict(less.Objects[at.object])
	}
	ok := cutFrom(in, at.path, func(any) {})
	return less, ok
}

func cutFrom(in any, path []any, put func(any)) bool {
	switch in := in.(type) {
	case dict:
		key, ok := path[0].(string)
		v, has := in[key]
		switch {
		case !ok || !has:
			return false
		case len(path) == 1:
			delete(in, key)
			return true
		}
		return cutFrom(v, path[1:], func(v any) { in[key] = v })
	case []any:
		i, ok := path[0].(int)
		switch {
		case !ok || i >= len(in):
			return false
		case len(path) == 1:
			put(slices.Delete(in, i, i+1))
			return true
		}
		return cutFrom(in[i], path[1:], func(v any) { in[i] = v })
	}
	return false
}

func TestShrink(t *testing.T) {
	c := newGen(1).testCase()
	c.Objects = append(c.Objects, object{"kind": "Probe", "metadata": dict{"name": "p"}, "spec": dict{"jobName": "j", "params": []any{dict{"name": "a"}, dict{"name": "b", "values": []any{"x"}}}}})
	got := shrink(c, func(c *testCase) bool {
		return slices.ContainsFunc(c.Objects, func(o object) bool { return o.kind() == "Probe" && strings.Contains(string(must(o)), `"name":"b"`) })
	})
	want := `{"settings":{},"home":"default","objects":[{"kind":"Probe","metadata":{"name":"p"},"spec":{"params":[{"name":"b"}]}}]}`
	if string(must(got)) != want {
		t.Errorf("got %s, want %s", must(got), want)
	}
}
