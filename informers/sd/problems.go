package sd

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"promrelay/config"
	"promrelay/targets"
)

// silentFor is how long a discoverer may fail without an error in its log, in addition to two of its intervals. Some ask for changes
// and wait for minutes. Others see no change and send nothing.
const silentFor = 3 * time.Minute

// handler is the log of a discoverer. It removes the secrets from all records, passes them on, and keeps the last error.
type handler struct {
	slog.Handler
	shared *shared
}

// logger returns a log for the discoverer that writes to another one.
func (s *shared) logger(to *slog.Logger) *slog.Logger { return slog.New(handler{to.Handler(), s}) }

// Enabled implements slog.Handler.
func (h handler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError || h.Handler.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		h.shared.setFailure("fails", sentence(r))
	}
	if !h.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	redacted := slog.NewRecord(r.Time, r.Level, targets.Redact(r.Message, h.shared.secrets), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		redacted.AddAttrs(h.shared.redactAttr(a))
		return true
	})
	return h.Handler.Handle(ctx, redacted)
}

// redactAttr removes the secrets from an attribute that is an error or a string.
func (s *shared) redactAttr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	if _, isError := v.Any().(error); isError || v.Kind() == slog.KindString {
		return slog.String(a.Key, targets.Redact(v.String(), s.secrets))
	}
	return a
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	redacted := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		redacted[i] = h.shared.redactAttr(a)
	}
	return handler{h.Handler.WithAttrs(redacted), h.shared}
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler {
	return handler{h.Handler.WithGroup(name), h.shared}
}

// sentence makes one sentence of a record: its message, its attributes and its error.
func sentence(r slog.Record) string {
	var about []string
	var err string
	r.Attrs(func(a slog.Attr) bool {
		if v := a.Value.Resolve().String(); a.Key == "err" || a.Key == "error" {
			err = ": " + v
		} else if v != "" {
			about = append(about, a.Key+" "+v)
		}
		return true
	})
	if len(about) > 0 {
		return fmt.Sprintf("%s (%s)%s", r.Message, strings.Join(about, ", "), err)
	}
	return r.Message + err
}

// setFailure notes what goes wrong with the discoverer, and why.
func (s *shared) setFailure(does, why string) {
	why = s.redact(why)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure, s.failedAt = does+": "+why, time.Now()
}

// problem says what is wrong at the moment, empty for nothing.
func (s *shared) problem(now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.Name() + "_sd_configs "
	every, _ := config.RefreshInterval(s.compiled) // 0 for a mechanism that receives changes
	switch {
	case s.broken != "":
		return list + "cannot be started: " + s.broken
	case s.failure != "" && (now.Sub(s.failedAt)-silentFor)/2 < every:
		return list + s.failure
	case s.Name() == "kubernetes" && !s.begun.IsZero() && s.answered.IsZero() && now.Sub(s.begun) >= silentFor: // client-go writes errors only to its own log
		return list + "has found nothing yet: its API server does not answer, or has nothing of the kind; the log may tell"
	}
	return ""
}
