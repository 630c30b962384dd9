package files

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestReadRegular(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ path, want, err string }{
		"a file":            {write("a", "text"), "text", ""},
		"at the limit":      {write("b", "12345"), "12345", ""},
		"above it":          {write("c", "123456"), "", "more than 5 bytes"},
		"empty":             {write("d", ""), "", ""},
		"longer than it is": {"/proc/self/status", "", "more than 5 bytes"}, // its size is 0
		"a pipe":            {pipe, "", "not a regular file"},
		"a device":          {"/dev/zero", "", "not a regular file"},
		"a directory":       {dir, "", "not a regular file"},
		"none":              {filepath.Join(dir, "none"), "", "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ReadRegular(c.path, 5)
			if string(got) != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("got %q, %v, want %q, %q", got, err, c.want, c.err)
			}
		})
	}
}
