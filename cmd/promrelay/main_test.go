package main

import (
	"errors"
	"testing"
)

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
