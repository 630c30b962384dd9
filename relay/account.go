package relay

import (
	"errors"
	"time"

	"go.uber.org/zap"
)

// account counts how a request ended.
func (s *sender) account(r *request, v decision) {
	s.breaker.succeed()
	s.report.recovered()
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
	s.lose(v.loss)
}

// lose counts and reports a loss.
func (s *sender) lose(l loss) {
	s.metrics.droppedExemplars.WithLabelValues(dropRefused).Add(float64(l.exemplars))
	if l.unclear {
		s.metrics.unclear.Inc()
	}
	if l.lost > 0 {
		reason := l.reason
		if l.lostAtMost {
			reason += atMost
		}
		s.metrics.dropped.WithLabelValues(reason).Add(float64(l.lost))
	}
	if l.err == nil {
		return
	}
	switch {
	case l.lost > 0 || l.unclear:
		s.report.lost(l, time.Now())
	case l.exemplars > 0:
		s.log.Debug("the destination refuses exemplars", zap.Int("exemplars", l.exemplars), zap.NamedError("err", l.err))
	}
}

// trouble records that a request must wait.
func (s *sender) trouble(v decision, pause time.Duration) {
	s.metrics.retries.Inc()
	s.heartbeat.until(pause)
	s.governor.noteRetry()
	err := v.err
	if err == nil {
		err = errors.New("no request is accepted")
	}
	s.report.waits(pause, v.rule, err, time.Now())
}
