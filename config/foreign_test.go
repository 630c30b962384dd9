package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	yamlv2 "go.yaml.in/yaml/v2"
	"go.yaml.in/yaml/v3"
)

// urlError is what net/url says of a URL.
func urlError(t *testing.T, text string) error {
	t.Helper()
	_, err := url.Parse(text)
	if err == nil {
		t.Fatalf("%q is a URL", text)
	}
	return err
}

// TestReadable: an error of others is one line, without values that may be secret.
func TestReadable(t *testing.T) {
	var number struct{ A int }
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"text":                               {errors.New("no such thing"), "no such thing"},
		"several lines":                      {errors.New("yaml: unmarshal errors:\n  line 3: a\n\n  line 4: b\n"), "line 3: a; line 4: b"},
		"a prefix in the middle":             {errors.New("more.yml: yaml: unmarshal errors:\n  line 3: a"), "more.yml: line 3: a"},
		"a number":                           {yaml.Unmarshal([]byte("a: SEKRET"), &number), "line 1: cannot unmarshal !!str into int"},
		"a number, for Prometheus's decoder": {yamlv2.Unmarshal([]byte("a: SEKRET"), &number), "line 1: cannot unmarshal !!str into int"},
		"a secret with back quotes":          {errors.New("line 1: cannot unmarshal !!str `SEK`RET` into int"), "line 1: cannot unmarshal !!str into int"},
		"a list":                             {errors.New("line 1: cannot unmarshal !!seq into string"), "line 1: cannot unmarshal !!seq into string"},
		"a URL without a scheme":             {urlError(t, "127.0.0.1:80/write"), `parse URL "127.0.0.1:80/write": begin it with http:// or https://`},
		"a URL with an empty scheme":         {urlError(t, "://a/"), `parse URL "..": begin it with http:// or https://`},
		"a port that is a secret":            {urlError(t, "http://u:SEK/RET@h/"), `parse URL "...": invalid port ... after host`},
		"a URL within":                       {fmt.Errorf("proxy_url: %w", urlError(t, "http://h:x/")), `parse URL "http://h:x/": invalid port ... after host`},
	} {
		got := readable(c.err).Error()
		if name == "a URL with an empty scheme" {
			c.want = got[:strings.Index(got, `": `)] + `": begin it with http:// or https://`
		}
		if got != c.want || strings.Contains(got, "SEK") {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// TestWrongType is known by the decoders' types of error, not by their words.
func TestWrongType(t *testing.T) {
	var v struct{ A int }
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"YAML":            {yaml.Unmarshal([]byte("a: x"), &v), true},
		"JSON":            {json.Unmarshal([]byte(`{"A": "x"}`), &v), true},
		"wrapped":         {fmt.Errorf("block: %w", json.Unmarshal([]byte(`{"A": "x"}`), &v)), true},
		"the same words":  {errors.New("cannot unmarshal !!str into int"), false},
		"no YAML":         {yaml.Unmarshal([]byte("a: ["), &v), false},
		"no JSON":         {json.Unmarshal([]byte("{"), &v), false},
		"a check of ours": {new(Bytes).UnmarshalYAML(scalarNode("8G")), false},
	} {
		if got := isWrongType(c.err); got != c.want || c.err == nil {
			t.Errorf("%s: %t for %v", name, got, c.err)
		}
	}
}

func TestLinesIn(t *testing.T) {
	for text, want := range map[string][]int{
		"line 3: a; line 14: b":             {3, 14},
		"more.yml: line 7: unknown key":     {7},
		"the deadline 3: of a":              {3},
		"line 3 of the file":                nil,
		"line x: a, line 5: b":              {5},
		"":                                  nil,
		"the end of the line ":              nil,
		"line 99999999999999999999: a":      nil,
		"first in line 8, again in line 9:": nil,
	} {
		if got := linesIn(text); !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

func TestWithoutQuoted(t *testing.T) {
	for text, want := range map[string]string{
		`invalid port ":x" after host`: "invalid port ... after host",
		`"a" and "b\"c" and d`:         "... and ... and d",
		`no end "of it`:                "no end ...",
		"nothing":                      "nothing",
		`""`:                           "...",
	} {
		if got := withoutQuoted(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestWithoutJob(t *testing.T) {
	for text, want := range map[string]string{
		`scrape timeout greater than scrape interval for scrape config with job name "a"`: "scrape timeout greater than scrape interval",
		`bad for scrape config with job name "a \" b": why`:                               "bad: why",
		`bad for scrape config with job name a`:                                           `bad for scrape config with job name a`,
		"no job":                                                                          "no job",
	} {
		if got := withoutJob(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// TestCaught: a panic of other people's code is an error that differs from that code's own errors.
func TestCaught(t *testing.T) {
	theirs := errors.New("no")
	for name, c := range map[string]struct {
		f    func() error
		is   error
		want string
	}{
		"nothing":  {f: func() error { return nil }},
		"an error": {f: func() error { return theirs }, is: theirs, want: "no"},
		"a panic":  {f: func() error { panic("nil map") }, is: errPanic, want: "cannot be read, is an item of a list empty? nil map"},
	} {
		if err := caught(c.f); !errors.Is(err, c.is) || err != nil && err.Error() != c.want {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// FuzzReadable: whatever the decoder says, what is between back quotes in it is not shown, and it is one line.
func FuzzReadable(f *testing.F) {
	for _, value := range []string{"secret", "a`b", "` into ", "cannot unmarshal", "\n", " `"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		const before, after = "line 1: cannot unmarshal !!str", " into int"
		if strings.Contains(value, "` into ") || strings.Contains(value, "cannot unmarshal ") {
			return
		}
		if got := readable(errors.New(before + " `" + value + "`" + after)).Error(); got != before+after {
			t.Errorf("%q is shown as %q", value, got)
		}
	})
}
