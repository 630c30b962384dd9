package wal

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestCheckVolume(t *testing.T) {
	const mb = 1 << 20
	tests := map[string]struct {
		size, free, min int64
		warning, err    []string // parts
	}{
		"fine":                {1000 * mb, 600 * mb, 512 * mb, nil, nil},
		"default":             {100 * mb, 100 * mb, 0, nil, []string{"wal.min_free_bytes is 512MB", "/a/b/c has 100MB in all", "to 6400KB for instance"}},
		"smaller":             {64 * mb, 10 * mb, 100 * mb, nil, []string{"100MB", "64MB in all"}},
		"equal":               {100 * mb, 100 * mb, 100 * mb, nil, []string{"100MB in all"}},
		"not reported":        {0, 0, 100 * mb, nil, nil},
		"no floor":            {100 * mb, 1, -1, nil, nil},
		"little free":         {1000 * mb, 511 * mb, 512 * mb, []string{"wal.min_free_bytes is 512MB", "511MB free"}, nil},
		"just enough is free": {1000 * mb, 512 * mb, 512 * mb, nil, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := newMemDisk()
			d.capacity, d.reserved = test.size, test.size-test.free
			d.fault = func(op, path string) (int, error) {
				if op == "space" && test.size == 0 {
					return 0, syscall.ENOTSUP
				}
				if op == "space" && strings.HasPrefix(path, "/a/b") { // is not there yet
					return 0, syscall.ENOENT
				}
				return 0, nil
			}
			warning, err := checkVolume(d, "/a/b/c", test.min)
			got := ""
			if err != nil {
				got = err.Error()
			}
			check := func(what, text string, want []string) {
				if (text != "") != (len(want) > 0) {
					t.Errorf("%s %q, want %q", what, text, want)
				}
				for _, part := range want {
					if !strings.Contains(text, part) {
						t.Errorf("%s %q, want %q", what, text, part)
					}
				}
			}
			check("warning", warning, test.warning)
			check("error", got, test.err)
		})
	}
	if warning, err := CheckVolume(filepath.Join(t.TempDir(), "a", "b"), 1<<62); err == nil || warning != "" {
		t.Errorf("a real volume has 4 EiB: %q", warning)
	}
}

func TestOpenOnSmallVolume(t *testing.T) {
	d := newMemDisk()
	d.capacity = 20_000
	if _, err := tryOpen(d, func(o *Options) { o.MinFreeBytes = 20_000 }); err == nil || d.claimed || len(d.live) > 0 {
		t.Errorf("opened, or something is left: %v", err)
	}
	d.reserved = 15_000
	with, logs := logged()
	w := openOn(t, d, with, func(o *Options) { o.MinFreeBytes = 10_000 })
	if logs.FilterMessage("disk space is short").Len() != 1 {
		t.Error("little space is not reported")
	}
	closeLog(t, w)
}
