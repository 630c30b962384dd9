package cluster

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Outage knows since when the API server has not answered any client of the relay. It logs an outage once, not once for each
// resource. A nil Outage does nothing.
type Outage struct {
	log  *zap.Logger
	host string // URL of the API server

	mu         sync.Mutex   // guards what follows
	unanswered map[any]bool // who waits for an answer
	since      time.Time
	why        string
	answered   bool // it has answered at least once
}

// NewOutage returns an Outage of the API server at a URL.
func NewOutage(host string, log *zap.Logger) *Outage {
	return &Outage{log: log, host: host, unanswered: map[any]bool{}}
}

// Begin notes that somebody got no answer.
func (o *Outage) Begin(who any, err error) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	first := len(o.unanswered) == 0
	o.unanswered[who], o.why = true, Cause(err)
	if first {
		o.since = time.Now()
		o.log.Warn("the API server does not answer, the last known objects stay in use", zap.String("server", o.host), zap.Bool("nothing_read_yet", !o.answered), zap.NamedError("err", err))
	}
}

// End notes that somebody got an answer, or has stopped asking.
func (o *Outage) End(who any, answered bool) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answered = o.answered || answered
	waited := o.unanswered[who]
	delete(o.unanswered, who)
	if waited && len(o.unanswered) == 0 && answered {
		o.log.Info("the API server answers again", zap.String("server", o.host), zap.Duration("after", time.Since(o.since)))
	}
}

// Line describes the outage, empty if there is none.
func (o *Outage) Line() string {
	if o == nil {
		return ""
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.unanswered) == 0 {
		return ""
	}
	what := "the last known objects stay in use"
	if !o.answered {
		what = "nothing was read yet"
	}
	return strings.TrimSpace(fmt.Sprintf("%s does not answer (%s) since %s; %s", o.host, o.why, clockTime(o.since), what))
}

// Unreachable reports whether an error means that no API server answered: the connection failed, or a proxy in front of the server
// says so.
func Unreachable(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return true
	}
	code := status.Status().Code
	return code == http.StatusBadGateway || code == http.StatusServiceUnavailable
}

// clockTime shows a time, with the date if it is not recent.
func clockTime(t time.Time) string {
	t = t.UTC()
	if time.Since(t) < 12*time.Hour {
		return t.Format("15:04 UTC")
	}
	return t.Format("2006-01-02 15:04 UTC")
}

// Cause returns the innermost reason of an error, without the requests that failed because of it.
func Cause(err error) string {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return status.Status().Message
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
		for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
			err = inner
		}
	}
	return err.Error()
}
