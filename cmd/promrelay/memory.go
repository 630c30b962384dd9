package main

import (
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"go.uber.org/zap"
)

const (
	// memoryShare is how much of the limit Go may use. The rest is for memory that Go does not count, such as the page cache.
	memoryShare = 0.9
	// memoryEvery is how often the limit is read: that of a pod may change while it runs.
	memoryEvery = time.Minute
)

// followMemoryLimit sets GOMEMLIMIT to a share of a limit, such as that of the cgroup, and follows changes of the limit until the process
// ends. The variable GOMEMLIMIT overrides it, and AUTOMEMLIMIT=off turns it off.
func followMemoryLimit(limit memlimit.Provider, log *zap.Logger) {
	switch bytes, err := memlimit.SetGoMemLimitWithOpts(memlimit.WithProvider(limit), memlimit.WithRatio(memoryShare), memlimit.WithRefreshInterval(memoryEvery)); {
	case err != nil:
		log.Info("the memory limit is not known; GOMEMLIMIT stays as it was", zap.NamedError("err", err))
	case bytes > 0:
		log.Info("GOMEMLIMIT follows the memory limit", zap.Int64("bytes", bytes))
	}
}
