package main

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"promrelay/scrape/order"
	"promrelay/wal"
)

// tellEvery is how often a long step of the start is told in the log. A step that takes less is not told.
const tellEvery = 3 * time.Second

// longStep logs how far a step of the start has come.
type longStep struct {
	log     *zap.Logger
	message string
	now     func() time.Time
	last    time.Time // when it began, or was told last
}

func newLongStep(log *zap.Logger, message string) *longStep {
	return &longStep{log: log, message: message, now: time.Now, last: time.Now()}
}

func (s *longStep) at(done, total int64) {
	now := s.now()
	if total <= 0 || now.Sub(s.last) < tellEvery {
		return
	}
	s.last = now
	s.log.Info(s.message, zap.Int64("percent", 100*done/total), zap.Int64("done", done), zap.Int64("total", total))
}

// openProgress logs how far opening the write-ahead log has come.
func openProgress(log *zap.Logger) func(wal.OpenStep, int64, int64) {
	steps := map[wal.OpenStep]*longStep{
		wal.StepSegments: newLongStep(log, "opening the write-ahead log: its segments are looked at"),
		wal.StepNewest:   newLongStep(log, "opening the write-ahead log: its newest segment is read, because it was not closed"),
	}
	return func(step wal.OpenStep, done, total int64) { steps[step].at(done, total) }
}

// restore gives the guard the last samples of the previous process, from the end of the log.
func restore(g *order.Guard, store *wal.WAL, log *zap.Logger) error {
	from := store.Recent(restoreBytes)
	r, err := store.NewReader(from)
	if err != nil {
		return err
	}
	counted := countedLog{r, from, store.Head(), newLongStep(log, "reading the last samples of the write-ahead log")}
	return errors.Join(g.RestoreFrom(counted), r.Close())
}

// countedLog is a part of the log whose reading is told.
type countedLog struct {
	order.Log
	from, to wal.Position
	step     *longStep
}

// TryNext implements order.Log.
func (c countedLog) TryNext() (wal.Entry, bool, error) {
	e, ok, err := c.Log.TryNext()
	if ok {
		c.step.at(int64(e.End.Count-c.from.Count), int64(c.to.Count-c.from.Count))
	}
	return e, ok, err
}
