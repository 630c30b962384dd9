package informers

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"time"

	config_util "github.com/prometheus/common/config"

	"promrelay/config"
	"promrelay/targets"
)

// ear is a discoverer's log: it passes everything on, and the loan keeps the last error.
type ear struct {
	slog.Handler
	loan *loan
}

// listen makes a log that the loan listens to.
func (l *loan) listen(log *slog.Logger) *slog.Logger { return slog.New(ear{log.Handler(), l}) }

// Enabled implements slog.Handler.
func (e ear) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError || e.Handler.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (e ear) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		e.loan.complain("fails", sentence(r))
	}
	if !e.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	fit := slog.NewRecord(r.Time, r.Level, targets.Redact(r.Message, e.loan.secrets), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		fit.AddAttrs(e.loan.fit(a))
		return true
	})
	return e.Handler.Handle(ctx, fit)
}

// fit takes secrets out of what an attribute says: of an error and of a text.
func (l *loan) fit(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	if _, isError := v.Any().(error); isError || v.Kind() == slog.KindString {
		return slog.String(a.Key, targets.Redact(v.String(), l.secrets))
	}
	return a
}

// WithAttrs implements slog.Handler.
func (e ear) WithAttrs(attrs []slog.Attr) slog.Handler {
	fit := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		fit[i] = e.loan.fit(a)
	}
	return ear{e.Handler.WithAttrs(fit), e.loan}
}

// WithGroup implements slog.Handler.
func (e ear) WithGroup(name string) slog.Handler { return ear{e.Handler.WithGroup(name), e.loan} }

// sentence is what a record says, without what the logger says of itself: the message, what it is about, and the error.
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

// complain notes what a discoverer does and why.
func (l *loan) complain(does, why string) {
	why = l.clean(why)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.complaint, l.complained = does+": "+why, time.Now()
}

// problem says what is wrong at the moment, empty if nothing is known to be.
func (l *loan) problem(now time.Time) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.Name() + "_sd_configs "
	every, _ := config.RefreshInterval(l.is) // 0 where it is told
	switch {
	case l.broken != "":
		return list + "cannot be started: " + l.broken
	case l.complaint != "" && (now.Sub(l.complained)-silence)/2 < every:
		return list + l.complaint
	case l.Name() == "kubernetes" && !l.begun.IsZero() && l.answered.IsZero() && now.Sub(l.begun) >= silence: // client-go complains in the log alone
		return list + "has found nothing yet: its API server does not answer, or has nothing of the kind; the log may tell"
	}
	return ""
}

// longest is how many bytes of a complaint are kept: some errors hold the page of a server.
const longest = 1000

var queryOfURL = regexp.MustCompile(`(://[^\s?"']*\?)[^\s"']*`)

// clean makes of an error what a page may show. Queries of URLs go, too: some servers want their tokens there.
func (l *loan) clean(text string) string {
	text = targets.Redact(text, l.secrets)
	text = queryOfURL.ReplaceAllString(text, "${1}...")
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "..."
	}
	return text
}

// secretsOf returns all secrets that are in a configuration itself, not in a file that it names.
func secretsOf(sd any) (out []string) {
	var look func(v reflect.Value)
	look = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.String:
			if v.Type() == reflect.TypeFor[config_util.Secret]() {
				if v.Len() > 0 {
					out = append(out, v.String())
				}
			} else if u, err := url.Parse(v.String()); err == nil {
				look(reflect.ValueOf(*u))
			}
		case reflect.Pointer, reflect.Interface:
			look(v.Elem())
		case reflect.Slice:
			for i := range v.Len() {
				look(v.Index(i))
			}
		case reflect.Map:
			for _, key := range v.MapKeys() {
				look(v.MapIndex(key))
			}
		case reflect.Struct:
			if u, ok := v.Interface().(url.URL); ok {
				if password, ok := u.User.Password(); ok {
					out = append(out, password)
				}
				return
			}
			for i := range v.NumField() {
				if v.Type().Field(i).IsExported() {
					look(v.Field(i))
				}
			}
		}
	}
	look(reflect.ValueOf(sd))
	return out
}
