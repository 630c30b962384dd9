package conformance

import (
	"maps"
	"math"
	"slices"
	"strings"
)

// mutate changes a case: it removes, empties or replaces a few values anywhere, and copies objects.
func (g *gen) mutate(c *testCase) {
	for range g.IntN(3) {
		g.copyObject(c)
	}
	for range 1 + g.IntN(4) {
		if g.chance(0.1) {
			g.mutateIn(dict{"settings": c.Settings}, "settings")
			continue
		}
		o := pick(g, c.Objects...)
		for range 2 { // monitors matter most
			if !o.monitor() {
				o = pick(g, c.Objects...)
			}
		}
		if o["data"] == nil || !classSecrets(c.Settings) {
			g.mutateObject(o)
		}
	}
}

// classSecrets tells whether scrape classes refer to Secrets or ConfigMaps: where one is missing the two differ, see testdata/allowed.
func classSecrets(settings dict) bool {
	classes, ok := settings["scrapeClasses"]
	return ok && strings.Contains(string(must(classes)), `"key":`)
}

// copyObject copies an object under another name or into another namespace.
func (g *gen) copyObject(c *testCase) {
	o := pick(g, c.Objects...)
	if o.meta("namespace") == "" {
		return
	}
	n := (&testCase{Objects: []object{o}}).clone().Objects[0]
	m := n["metadata"].(dict)
	if g.chance(0.5) || o.monitor() && classSecrets(c.Settings) {
		m["name"] = o.meta("name") + "-copy"
	} else {
		m["namespace"] = pick(g, namespaceNames...)
		move(map[string]any(n), m["namespace"])
	}
	if !slices.ContainsFunc(c.Objects, func(x object) bool { return x.name() == n.name() }) {
		c.Objects = append(c.Objects, n)
	}
}

// move changes the namespace of references to pods along with their object: that they differ is an allowed difference.
func move(v, namespace any) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			move(x, namespace)
		}
	case dict:
		if ref, ok := v["targetRef"].(dict); ok && ref["namespace"] != nil {
			ref["namespace"] = namespace
		}
		for _, x := range v {
			move(x, namespace)
		}
	}
}

// mutateObject changes something in what an object says.
func (g *gen) mutateObject(o object) {
	var parts []string
	for _, part := range []string{"spec", "status", "endpoints", "ports", "subsets", "addressType"} {
		if o[part] != nil {
			parts = append(parts, part)
		}
	}
	m := o["metadata"].(dict)
	switch {
	case o["data"] != nil:
		g.rotate(o)
	case m["labels"] != nil && !o.monitor() && g.chance(0.2):
		g.mutateIn(m, "labels")
	case len(parts) > 0:
		g.mutateIn(dict(o), pick(g, parts...))
	}
}

// rotate changes a value of a Secret or ConfigMap.
func (g *gen) rotate(o object) {
	data := o["data"].(dict)
	if len(data) == 0 {
		return
	}
	key := pick(g, slices.Sorted(maps.Keys(data))...)
	value := pick(g, unusualStrings...)
	if o.kind() == "Secret" {
		value = encode([]byte(value))
	}
	if data[key] = value; g.chance(0.3) {
		delete(data, key)
	}
}

// slot is the place of a value, with functions that change it.
type slot struct {
	path  string
	value any
	set   func(any)
	del   func()
	twice func() // nil where there is no list
}

func slots(v any, path string, set func(any), out []slot) []slot {
	switch v := v.(type) {
	case dict:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			put := func(x any) { v[k] = x }
			out = append(out, slot{path: path + "." + k, value: v[k], set: put, del: func() { delete(v, k) }})
			out = slots(v[k], path+"."+k, put, out)
		}
	case []any:
		for i := range v {
			put := func(x any) { v[i] = x }
			out = append(out, slot{
				path: path + "[]", value: v[i], set: put,
				del:   func() { set(slices.Delete(slices.Clone(v), i, i+1)) },
				twice: func() { set(append(slices.Clone(v), v[i])) },
			})
			out = slots(v[i], path+"[]", put, out)
		}
	}
	return out
}

// kept lists what is not mutated, and why.
var kept = map[string]string{
	"targetRef.namespace":        "pods of other namespaces are found here: testdata/allowed",
	"scrapeFailureLogFile":       "it is put under a mount there: testdata/allowed",
	"prober.params[].name":       "the API server sees to it that names are unique",
	"scrapeClasses[].name":       "the API server sees to it that names are unique",
	"settings.scrapeInterval":    "0 is refused here",
	"excludedFromEnforcement":    "the API server knows what there may be",
	"MinBucketFactor":            "the API server reads it as a number",
	"settings.scrapeClasses":     "what is wrong with a class is refused here at once, there only if it is used",
	"ServiceDiscoveryRole":       "the API server knows what there may be",
	"serviceDiscoveryRole":       "the API server knows what there may be",
	"NamespaceSelector":          "without Namespace objects, and with nobody selected, the two differ: testdata/allowed",
	"azureSDConfigs[].authentic": "the operator reads no Secrets of some: testdata/allowed",
}

// keptHere tells whether a slot is not mutated.
func keptHere(s slot) bool {
	for part := range kept {
		if strings.Contains(s.path, part) {
			return true
		}
	}
	return false
}

// mutateIn changes something below a key.
func (g *gen) mutateIn(m dict, key string) {
	all := slices.DeleteFunc(slots(m[key], key, func(x any) { m[key] = x }, nil), keptHere)
	if len(all) == 0 {
		return
	}
	s := pick(g, all...)
	switch n := g.IntN(10); {
	case n < 2:
		s.del()
	case n == 2 && s.twice != nil:
		s.twice()
	case n == 3 && s.twice == nil: // the API server takes no null in lists
		s.set(nil)
	case n == 4:
		s.set(empty(s.value))
	default:
		if v := g.other(s); v != nil {
			s.set(v)
		}
	}
}

func empty(v any) any {
	switch v.(type) {
	case dict:
		return dict{}
	case []any:
		return []any{}
	case string:
		return ""
	case bool:
		return false
	case nil:
		return nil
	}
	return 0
}

// unusualStrings are what a string may become. "null" and "~" are not among them: Prometheus reads them as no regular expression, and
// then overwrites its own default for the rest of the process.
var unusualStrings = []string{
	"", " ", "0", "-1", "$1", "a$b", "${1}", "$$", "(", ".*", "(?i)HTTP", "a|b", "http", "HTTP", "web", "é", "a b", "a;b", "0B", "1.5MB", "-5MB", "0s", "1d", "5",
	"1h30m", "namespace", "job", "instance", "pod", "__address__", "__tmp_hash", "__tmp_disable_sharding", "endpoint", "default", "shop", "nowhere", "creds", "user",
	"crt", "other", "junk", "empty", "TLS13", "Basic", "basic", "In", "in", "Exists", "Pod", "Node", "IPv6", "UDP", "None", "http://x", "x:99999", "::1", "[::1]:80",
	"10.0.0.1", "true", "True", "1e3", "0x10", "010", "a\nb", "a\n", "\ttab", "# c", "- x", "{a: b}", "!!binary x", strings.Repeat("x", 300),
}

// other is another value of a slot's type; nil for none.
func (g *gen) other(s slot) any {
	switch v := s.value.(type) {
	case string:
		return pick(g, unusualStrings...)
	case bool:
		return !v
	case float64:
		if strings.HasSuffix(strings.ToLower(s.path), "port") {
			return pick(g, 1, 80, 8080, 9090, 65535)
		}
		return pick(g, 0, 1, -1, 80, 8080, 9090, math.MaxInt32)
	}
	return nil
}
