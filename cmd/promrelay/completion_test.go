package main

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kingpin/v2"
)

// TestCompletion: bash completes what is typed, as its own splitting of words gives it.
func TestCompletion(t *testing.T) {
	program := built(t)
	for name, c := range map[string]struct {
		words []string // as bash splits them, with the one that is completed at the end
		want  []string // among what is offered
		not   string   // what is not offered; empty: anything may be
	}{
		"commands":            {[]string{""}, []string{"run", "check", "lint", "targets", "help"}, "--output"},
		"a part of a command": {[]string{"ch"}, []string{"check"}, "run"},
		"flags":               {[]string{"lint", "--"}, []string{"--output", "--fail-on", "--config.file", "--namespace"}, "--wal.dir"},
		"a part of a flag":    {[]string{"run", "--wal"}, []string{"--wal.dir"}, "--config.file"},
		"a value":             {[]string{"lint", "--output", ""}, []string{"text", "json", "sarif", "github"}, "--output"},
		"a value behind =":    {[]string{"lint", "--output", "="}, []string{"text", "json", "sarif", "github"}, "--output"},
		"a part of a value":   {[]string{"lint", "--output", "=", "s"}, []string{"sarif"}, "text"},
		"severities":          {[]string{"lint", "--fail-on", "=", ""}, []string{"error", "warning", "note"}, ""},
		"failures":            {[]string{"targets", "--fail-on", "="}, []string{"rejected", "empty", "dropped"}, ""},
		"log levels":          {[]string{"run", "--log.level", "=", "d"}, []string{"debug"}, "info"},
	} {
		t.Run(name, func(t *testing.T) {
			const script = `eval "$("$1" --completion-script-bash)"; COMP_WORDS=("$@"); COMP_WORDS=("${COMP_WORDS[@]}"); COMP_CWORD=$(($# - 1)); _promrelay_bash_autocomplete; printf '%s\n' "${COMPREPLY[@]}"`
			out, err := exec.Command("bash", append([]string{"-c", script, "bash", program}, c.words...)...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			offered := strings.Fields(string(out))
			for _, want := range c.want {
				if !slices.Contains(offered, want) {
					t.Errorf("offered %q, want %q", offered, want)
				}
			}
			if c.not != "" && slices.Contains(offered, c.not) {
				t.Errorf("offered %q", offered)
			}
		})
	}
}

// TestZshCompletion: zsh accepts the script. It is run in a shell by hand only.
func TestZshCompletion(t *testing.T) {
	zsh, err := exec.LookPath("zsh")
	if err != nil {
		t.Skip("needs the Debian package zsh")
	}
	script, err := exec.Command(built(t), "--completion-script-zsh").Output()
	if err != nil || !strings.HasPrefix(string(script), "#compdef promrelay\n") {
		t.Fatalf("%v: %s", err, script)
	}
	path := filepath.Join(t.TempDir(), "_promrelay")
	write(t, path, string(script))
	if out, err := exec.Command(zsh, "-n", path).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// commandWords are the words of a command, such as migrate and categraf.
func commandWords(add func(*kingpin.Application) subcommand) []string {
	return strings.Fields(add(kingpin.New(name, "")).clause.FullCommand())
}

// TestHelpHasExamples: the help of each command shows how it is used.
func TestHelpHasExamples(t *testing.T) {
	program := built(t)
	for _, add := range subcommands {
		out, err := exec.Command(program, append([]string{"help"}, commandWords(add)...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		if text := string(out); !strings.Contains(text, "Examples:") || !strings.Contains(text, "\n  promrelay "+strings.Join(commandWords(add), " ")) && !strings.Contains(text, "| promrelay ") {
			t.Errorf("the help of %q has no examples:\n%s", commandWords(add), text)
		}
	}
}
