package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// TestLint: the exit code follows --fail-on, and wrong flags are refused.
func TestLint(t *testing.T) {
	for name, c := range map[string]struct {
		dir, failOn, output string
		want                string // in the output
		err                 string // errFindings by "findings"; empty: none
	}{
		"an error":         {"port", "error", "text", `Set endpoints[0].port: metrics in ServiceMonitor shop/cart.`, "findings"},
		"a warning":        {"duplicates", "error", "text", "[duplicate-scrape]", ""},
		"a warning counts": {"duplicates", "warning", "github", "::warning file=", "findings"},
		"a note":           {"no-match", "warning", "json", `"rule": "no-match"`, ""},
		"a note counts":    {"no-match", "note", "sarif", `"ruleId": "no-match"`, "findings"},
		"nothing":          {"good", "note", "text", "0 errors", ""},
		"format":           {"good", "error", "yaml", "", "--output=yaml: want one of text, json, sarif, github"},
		"severity":         {"good", "rejected", "text", "", "--fail-on=rejected: want one of error, warning, note"},
		"path":             {"none-such", "error", "text", "", "want a file or directory with manifests"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			err := lintFiles(&out, strings.NewReader(""), lintOptions{Paths: []string{"lint/testdata/" + c.dir}, Output: c.output, FailOn: c.failOn})
			if errors.Is(err, errFindings) != (c.err == "findings") || (err == nil) != (c.err == "") || c.err != "findings" && err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want %s", err, c.err)
			}
			if !strings.Contains(out.String(), c.want) {
				t.Errorf("got %s", out.String())
			}
		})
	}
}
