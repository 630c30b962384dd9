package relay

import (
	"errors"
	"time"

	"go.uber.org/zap"
)

// account counts how a request ended.
func (s *sender) account(r *request, v decision) {
	s.breaker.succeed()
	s.report.recover()
	stored := r.all() - v.lost
	if v.lostAtMost {
		stored = 0
	}
	if stored > 0 {
		s.passes.Add(1)
		s.lastPassed.Store(r)
		s.mu.Lock()
		s.newest, s.stored = max(s.newest, r.newest), time.Now()
		s.mu.Unlock()
	}
	s.metrics.samples.Add(float64(stored))
	s.metrics.exemplars.Add(float64(r.exemplars - v.exemplars))
	if n := r.omitted.histograms; n > 0 {
		s.metrics.dropped.WithLabelValues(dropHistogram).Add(float64(n))
	}
	s.metrics.droppedExemplars.WithLabelValues(dropVersion).Add(float64(r.omitted.exemplars))
	s.lose(v)
}

// lose counts and reports what a decision says is lost.
func (s *sender) lose(v decision) {
	s.metrics.droppedExemplars.WithLabelValues(dropRefused).Add(float64(v.exemplars))
	if v.unclear {
		s.metrics.unclear.Inc()
	}
	if v.lost > 0 {
		reason := v.reason
		if v.lostAtMost {
			reason += atMost
		}
		s.metrics.dropped.WithLabelValues(reason).Add(float64(v.lost))
	}
	if v.err == nil {
		return
	}
	switch {
	case v.lost > 0 || v.unclear:
		s.report.addLoss(v, time.Now())
	case v.exemplars > 0:
		s.log.Debug("the destination refuses exemplars", zap.Int("exemplars", v.exemplars), zap.NamedError("err", v.err))
	}
}

// trouble records that a request must wait.
func (s *sender) trouble(v decision, pause time.Duration) {
	s.metrics.retries.Inc()
	s.governor.noteRetry()
	if v.err == nil {
		v.err = errors.New("no request is taken")
	}
	s.report.wait(v, pause, time.Now())
}
