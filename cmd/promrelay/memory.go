package main

import (
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"go.uber.org/zap"
)

const (
	// memoryShare is how much of the limit Go may use; the rest is for what it does not know of, such as pages of files.
	memoryShare = 0.9
	// memoryEvery is how often the limit is looked at: that of a pod may be changed while it runs.
	memoryEvery = time.Minute
)

// followMemoryLimit makes GOMEMLIMIT of a limit, that of the cgroup in the first place. The environment's GOMEMLIMIT goes before it, and
// AUTOMEMLIMIT=off leaves it alone.
func followMemoryLimit(limit memlimit.Provider, log *zap.Logger) {
	switch bytes, err := memlimit.SetGoMemLimitWithOpts(memlimit.WithProvider(limit), memlimit.WithRatio(memoryShare), memlimit.WithRefreshInterval(memoryEvery)); {
	case err != nil:
		log.Info("the memory limit is not known; GOMEMLIMIT stays as it was", zap.NamedError("err", err))
	case bytes > 0:
		log.Info("GOMEMLIMIT follows the memory limit", zap.Int64("bytes", bytes))
	}
}
