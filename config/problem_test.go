package config

import (
	"slices"
	"testing"

	"promrelay/config/redact"
)

// TestProblems: they are in the order of files and lines, each once and in one line, without secrets.
func TestProblems(t *testing.T) {
	p := Problems{
		{Line: 9, Text: "last"},
		{File: "more.yml", Line: 1, Text: "in another file"},
		{Line: 2, Text: "two\n  lines"},
		{Text: "no line"},
		{Line: 2, Text: "two\n  lines"},
		{Line: 2, Text: "after it, as told: hunter22"},
		{File: "more.yml", Text: "in no line of it", Weight: Warning},
	}
	want := []string{
		"no line", "line 2: two; lines", "line 2: after it, as told: <secret>", "line 9: last",
		"warning: more.yml: in no line of it", "more.yml: line 1: in another file",
	}
	if got := p.ordered(redact.New("hunter22")).Strings(); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if p[0].Text != "last" {
		t.Error("the problems themselves are sorted")
	}
	noted := p[:1].Weighing(Note)
	if got := noted.Error(); got != "note: line 9: last" || p[0].Weight != Mistake {
		t.Errorf("got %q, or the others weigh as much", got)
	}
	for want, p := range map[string]Problem{"in line 3": {Line: 3}, "in line 3 of a.yml": {File: "a.yml", Line: 3}} {
		if got := p.where(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestListed(t *testing.T) {
	for _, c := range []struct {
		names     []string
		list, are string
	}{
		{nil, "", " are"},
		{[]string{"a"}, "a", "a is"},
		{[]string{"a", "b"}, "a or b", "a and b are"},
		{[]string{"a", "b", "c"}, "a, b or c", "a, b and c are"},
	} {
		if got := listed(c.names, "or"); got != c.list {
			t.Errorf("%v: %q", c.names, got)
		}
		if got := are(c.names); got != c.are {
			t.Errorf("%v: %q", c.names, got)
		}
	}
}

// TestDestinationID: credentials may change without it being another destination, the query may not.
func TestDestinationID(t *testing.T) {
	ids := map[string]string{}
	for _, text := range []string{
		"{url: 'http://a/w'}", "{url: 'http://u:p@a/w'}", "{url: 'http://a/w', basic_auth: {username: u}}", "{url: 'http://a/w?tenant=1'}", "{url: 'http://b/w'}",
		"{url: 'http://a/w', name: n}", "{url: 'http://b/w', name: n}",
	} {
		ids[text] = loaded(t, "remote_write: ["+text+"]").Destinations[0].ID()
	}
	same := [][2]string{
		{"{url: 'http://a/w'}", "{url: 'http://u:p@a/w'}"},
		{"{url: 'http://a/w'}", "{url: 'http://a/w', basic_auth: {username: u}}"},
		{"{url: 'http://a/w', name: n}", "{url: 'http://b/w', name: n}"},
	}
	for _, p := range same {
		if ids[p[0]] != ids[p[1]] {
			t.Errorf("%s and %s are two destinations", p[0], p[1])
		}
	}
	other := [][2]string{{"{url: 'http://a/w'}", "{url: 'http://a/w?tenant=1'}"}, {"{url: 'http://a/w'}", "{url: 'http://b/w'}"}, {"{url: 'http://a/w'}", "{url: 'http://a/w', name: n}"}}
	for _, p := range other {
		if ids[p[0]] == ids[p[1]] {
			t.Errorf("%s and %s are one destination", p[0], p[1])
		}
	}
}

// TestLinesOfBlocks: other packages name keys and destinations, and get their lines.
func TestLinesOfBlocks(t *testing.T) {
	c := loaded(t, "remote_write:\n- url: http://a/\n- url: http://b/\nwal:\n  max_bytes: 1GB\n")
	if got := []int{c.DestinationLine(0), c.DestinationLine(1), c.DestinationLine(2), c.Line("wal.max_bytes"), c.Line("wal.dir"), c.Line("nodes")}; !slices.Equal(got, []int{2, 3, 0, 5, 4, 0}) {
		t.Errorf("got %v", got)
	}
	if loaded(t, "{}").Empty() || !loaded(t, "# nothing\n").Empty() {
		t.Error("a file is empty that has a mapping, or one is not that has comments alone")
	}
}

func TestWithin(t *testing.T) {
	for _, c := range []struct {
		path, dir string
		want      bool
	}{
		{"/a/b", "/a", true},
		{"/a", "/a", true},
		{"/a/../b", "/a", false},
		{"/ab", "/a", false},
		{"/a", "/a/b", false},
		{"b/c", "b", true},
		{"./b", "b/", true},
	} {
		if got := within(c.path, c.dir); got != c.want {
			t.Errorf("%s within %s: %t", c.path, c.dir, got)
		}
	}
}
