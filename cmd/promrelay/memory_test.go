package main

import (
	"errors"
	"os"
	"runtime/debug"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"go.uber.org/zap"
)

func TestFollowMemoryLimit(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	for name, c := range map[string]struct {
		limit       uint64
		err         error
		environment string
		want        int64
	}{
		"a limit":             {limit: 1 << 30, want: 966367641},
		"no limit":            {err: memlimit.ErrNoLimit, want: before},
		"not known":           {err: errors.New("no cgroups"), want: before},
		"GOMEMLIMIT is given": {limit: 1 << 30, environment: "GOMEMLIMIT", want: before},
	} {
		t.Run(name, func(t *testing.T) {
			debug.SetMemoryLimit(before)
			if c.environment != "" {
				t.Setenv(c.environment, "1GiB") // which Go has read at the start already
			} else if _, ok := os.LookupEnv("GOMEMLIMIT"); ok {
				t.Skip("GOMEMLIMIT is set")
			}
			followMemoryLimit(func() (uint64, error) { return c.limit, c.err }, zap.NewNop())
			if got := debug.SetMemoryLimit(-1); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}
