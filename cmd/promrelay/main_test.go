package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"promrelay/config"
)

// binary is the real program, built once for all tests.
var binary = sync.OnceValues(func() (string, error) {
	builtBinary = true
	dir, err := os.MkdirTemp("", "promrelay-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "promrelay")
	const pkg = "github.com/prometheus/common/version."
	out, err := exec.CommandContext(context.Background(), "go", "build", "-ldflags", "-X "+pkg+"Version=1.2.3 -X "+pkg+"Branch=side -X "+pkg+"Revision=abc123", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", errors.New(string(out))
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if builtBinary {
		path, _ := binary()
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

var builtBinary bool

func built(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("it builds the program")
	}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestProgram(t *testing.T) {
	program := built(t)
	bad := filepath.Join(t.TempDir(), "promrelay.yml")
	if err := os.WriteFile(bad, []byte("remote_write:\n- url: http://u:SEKRET@a:x/\nwal:\n  dir: /dev/null/wal\n  max_byte: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := filepath.Join(t.TempDir(), "promrelay.yml")
	if err := os.WriteFile(good, []byte("wal:\n  dir: /dev/null/wal\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args           []string
		stdout, stderr string // parts of them; empty: nothing at all
		code           int
	}{
		"--version":       {[]string{"--version"}, "promrelay, version 1.2.3 (branch: side, revision: abc123)\n", "", 0},
		"version":         {[]string{"version"}, "promrelay, version 1.2.3 (branch: side, revision: abc123)\n", "", 0},
		"a letter wrong":  {[]string{"rnu", "--config.file=x"}, "", "promrelay: unknown command \"rnu\", did you mean \"run\"?\n", 1},
		"no such command": {[]string{"scrape"}, "", "promrelay: unknown command \"scrape\"", 1},
		"help":            {[]string{"help", "run"}, "--config.file", "", 0},
		"no argument":     {nil, "Commands:", "", 0},
		"flag":            {[]string{"run", "--wal.dri=x"}, "", "promrelay: unknown flag --wal.dri, did you mean \"--wal.dir\"?\n", 1},
		"mistakes": {
			[]string{"check", "--config.file=" + bad},
			"",
			"promrelay: " + bad + ": line 2: remote_write \"...\": url: parse URL \"...\": invalid port ... after host\npromrelay: " + bad + ": line 5: unknown key \"max_byte\" in wal, did you mean \"max_bytes\"?\n", 1,
		},
		"directory of the file": {
			[]string{"run", "--config.file=" + good, "--web.listen-address=127.0.0.1:0"},
			"",
			"promrelay: " + good + ": line 2: wal.dir: /dev/null/wal: open write-ahead log: ", 1,
		},
		"directory of the flag": {
			[]string{"run", "--config.file=" + good, "--wal.dir=/dev/null/other", "--web.listen-address=127.0.0.1:0"},
			"",
			"promrelay: --wal.dir=/dev/null/other: open write-ahead log: ", 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr strings.Builder
			cmd := exec.CommandContext(t.Context(), program, c.args...)
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			_ = cmd.Run()
			for what, pair := range map[string][2]string{"stdout": {stdout.String(), c.stdout}, "stderr": {stderr.String(), c.stderr}} {
				if !strings.Contains(pair[0], pair[1]) || (pair[0] == "") != (pair[1] == "") {
					t.Errorf("%s is %q, want %q", what, pair[0], pair[1])
				}
			}
			if cmd.ProcessState.ExitCode() != c.code {
				t.Errorf("exit code %d, want %d", cmd.ProcessState.ExitCode(), c.code)
			}
		})
	}
}

func TestLines(t *testing.T) {
	err := error(&config.FileError{Path: "f", Err: config.Problems{{Line: 1, Text: "a"}, {File: "g", Text: "b"}}})
	if got := strings.Join(lines(err), "|"); got != "f: line 1: a|f: g: b" {
		t.Error(got)
	}
	if got := strings.Join(lines(errors.New("a\nb")), "|"); got != "a; b" {
		t.Error(got)
	}
}

func TestOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"one":            "one",
		"one\ntwo":       "one; two",
		"one\n":          "one",
		"all:\n  x\n  y": "all: x; y",
	} {
		if have := oneLine(errors.New(text)); have != want {
			t.Errorf("%q: have %q, want %q", text, have, want)
		}
	}
}

func TestLogFlags(t *testing.T) {
	for level, good := range map[string]bool{"debug": true, "info": true, "warn": true, "error": true, "": false, "loud": false, "panic": false, "INFO": false} {
		if _, err := newLogger(level, "logfmt"); (err == nil) != good {
			t.Errorf("level %q: %v", level, err)
		}
	}
	if _, err := newLogger("info", "xml"); err == nil {
		t.Error("format xml is taken")
	}
}
