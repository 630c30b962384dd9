package conformance

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// cases returns the fixed cases of a directory in testdata.
func cases(t *testing.T, dir string) map[string]*testCase {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", dir, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*testCase{}
	for _, path := range paths {
		if out[strings.TrimSuffix(path, ".yaml")], err = readCase(path); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// golden reads the result that is kept beside a case.
func golden(t *testing.T, path string) *result {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := &result{}
	if err := json.Unmarshal(text, r); err != nil {
		t.Fatal(err)
	}
	return r
}

// keep compares a result with the stored one, or stores it if UPDATE=1.
func keep(t *testing.T, path string, r *result) {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(r); err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(path)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		t.Fatal(err)
	case bytes.Equal(old, b.Bytes()):
	case os.Getenv("UPDATE") != "":
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil { //nolint:gosec // part of the repository
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is not what comes out: UPDATE=1 writes it anew", path)
	}
}

// TestGoldens compares the relay with the stored results of the oracle: for the traps, and for what random cases found.
func TestGoldens(t *testing.T) {
	for _, dir := range []string{"traps", "found"} {
		for name, c := range cases(t, dir) {
			t.Run(filepath.Base(name), func(t *testing.T) {
				t.Parallel()
				r, err := relayed(c)
				if err != nil {
					t.Fatal(err)
				}
				for _, d := range differences(golden(t, name+".json"), r) {
					t.Error(d)
				}
			})
		}
	}
}

// TestAllowed compares both sides with stored results where they may differ.
func TestAllowed(t *testing.T) {
	for name, c := range cases(t, "allowed") {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			r, err := relayed(c)
			if err != nil {
				t.Fatal(err)
			}
			keep(t, name+".relay.json", r)
			if len(differences(golden(t, name+".json"), r)) == 0 {
				t.Error("there is no difference any more: take it out of docs/fidelity.md")
			}
		})
	}
}

// TestOracle compares the stored results with the oracle.
func TestOracle(t *testing.T) {
	if os.Getenv("CASES") == "" && os.Getenv("UPDATE") == "" {
		t.Skip("CASES is not given; make conformance gives it")
	}
	o := newOracle(t)
	for _, dir := range []string{"traps", "found", "allowed"} {
		for name, c := range cases(t, dir) {
			r, err := o.ask(c)
			if err != nil {
				t.Fatal(err)
			}
			keep(t, name+".json", r)
		}
	}
}
