package main

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	zaplogfmt "github.com/jsternberg/zap-logfmt"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"
)

// The values of --log.level and --log.format.
var (
	logLevels  = []string{"debug", "info", "warn", "error"}
	logFormats = []string{"logfmt", "json"}
)

// newLogger returns a logger that writes to stderr. client-go logs to it, too.
func newLogger(level, format string) (*zap.Logger, error) {
	if !slices.Contains(logFormats, format) {
		return nil, fmt.Errorf("--log.format=%s: want %s", format, strings.Join(logFormats, " or "))
	}
	l, err := zapcore.ParseLevel(level)
	if err != nil || !slices.Contains(logLevels, level) {
		return nil, fmt.Errorf("--log.level=%s: want one of %s", level, strings.Join(logLevels, ", "))
	}
	ec := zap.NewProductionEncoderConfig()
	ec.TimeKey, ec.EncodeTime = "ts", zapcore.TimeEncoderOfLayout("2006-01-02T15:04:05.000Z07:00")
	ec.EncodeDuration, ec.StacktraceKey = zapcore.StringDurationEncoder, ""
	encoder := zapcore.NewJSONEncoder(ec)
	if format == "logfmt" {
		encoder = zaplogfmt.NewEncoder(ec)
	}
	core := zapcore.NewCore(encoder, zapcore.Lock(os.Stderr), l)
	if format == "logfmt" {
		core = named{core}
	}
	// If a message repeats, only some copies are written in each second. Metrics count the events that the
	// log leaves out.
	core = zapcore.NewSamplerWithOptions(core, time.Second, 100, 100)
	log := zap.New(core)
	klog.SetSlogLogger(slog.New(zapslog.NewHandler(core, zapslog.WithName("client-go"))))
	return log, nil
}

// named writes the logger's name as a field, because the logfmt encoder leaves it out.
type named struct{ zapcore.Core }

func (n named) With(fields []zapcore.Field) zapcore.Core { return named{n.Core.With(fields)} }

func (n named) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if n.Enabled(e.Level) {
		return c.AddCore(e, n)
	}
	return c
}

func (n named) Write(e zapcore.Entry, fields []zapcore.Field) error {
	if e.LoggerName != "" {
		fields = append([]zapcore.Field{zap.String("logger", e.LoggerName)}, fields...)
	}
	return n.Core.Write(e, fields)
}
