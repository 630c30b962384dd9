//go:build linux

package cluster

import (
	"os"
	"path/filepath"
	"testing"
)

// TestReadAudit filters events, begins at an offset, and leaves a half-written last line alone.
func TestReadAudit(t *testing.T) {
	t.Parallel()
	const first = `{"auditID":"a","verb":"watch","user":{"username":"u"},"userAgent":"relay/1","objectRef":{"resource":"pods"}}` + "\n"
	const second = `{"auditID":"b","verb":"get","user":{"username":"u"},"userAgent":"other","objectRef":{"resource":"nodes","subresource":"metrics"}}` + "\n"
	log := filepath.Join(t.TempDir(), "audit.log")
	if err := os.WriteFile(log, []byte(first+second+`{"auditID":"c"`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		filter AuditFilter
		offset int
		want   string
	}{
		"all":         {want: "ab"},
		"offset":      {offset: len(first), want: "b"},
		"user":        {filter: AuditFilter{User: "u"}, want: "ab"},
		"other user":  {filter: AuditFilter{User: "us"}, want: ""},
		"agent":       {filter: AuditFilter{Agent: "relay"}, want: "a"},
		"verb":        {filter: AuditFilter{Verb: "get"}, want: "b"},
		"resource":    {filter: AuditFilter{Resource: "pods"}, want: "a"},
		"subresource": {filter: AuditFilter{Resource: "nodes/metrics"}, want: "b"},
	} {
		t.Run(name, func(t *testing.T) {
			events, err := readAudit(log, c.filter, int64(c.offset))
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, e := range events {
				got += e.AuditID
			}
			if got != c.want {
				t.Errorf("events %q, want %q", got, c.want)
			}
		})
	}
}

// TestParse reads documents and lists, and refuses what is no YAML.
func TestParse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		manifest string
		want     int // objects; -1 is an error
	}{
		"nothing":   {manifest: "# a comment\n---\n", want: 0},
		"documents": {manifest: "kind: A\n---\nkind: B\n", want: 2},
		"list":      {manifest: "kind: List\napiVersion: v1\nitems: [{kind: A, apiVersion: v1}, {kind: B, apiVersion: v1}]\n", want: 2},
		"no yaml":   {manifest: "kind: [", want: -1},
	} {
		t.Run(name, func(t *testing.T) {
			objects, err := parse([]byte(c.manifest))
			if (err != nil) != (c.want < 0) || (err == nil && len(objects) != c.want) {
				t.Errorf("%d objects, %v; want %d", len(objects), err, c.want)
			}
		})
	}
}

// TestWatchesSince takes a difference in both directions.
func TestWatchesSince(t *testing.T) {
	t.Parallel()
	before := Watches{"pods": 2, "nodes": 1, "services": 1}
	got := Watches{"pods": 3, "services": 1, "secrets": 1}.Since(before)
	want := Watches{"pods": 1, "nodes": -1, "secrets": 1}
	if len(got) != len(want) || got["pods"] != 1 || got["nodes"] != -1 || got["secrets"] != 1 || got.Total() != 1 {
		t.Errorf("difference %v, want %v", got, want)
	}
}
