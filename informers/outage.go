package informers

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// outage knows since when the API server does not answer, whoever asks it. It is told of once, not by each resource. A nil one knows nothing.
type outage struct {
	log  *zap.Logger
	host string // the URL of the API server

	mu     sync.Mutex
	silent map[any]bool // who waits for an answer
	since  time.Time
	why    string
	heard  bool // it has answered once
}

func newOutage(b Backend, log *zap.Logger) *outage {
	o := &outage{log: log, silent: map[any]bool{}}
	if s, ok := b.(interface{ server() string }); ok {
		o.host = s.server()
	}
	return o
}

// begin notes that somebody got no answer.
func (o *outage) begin(who any, err error) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	first := len(o.silent) == 0
	o.silent[who], o.why = true, cause(err)
	if first {
		o.since = time.Now()
		o.log.Warn("the API server does not answer, go on with what is known", zap.String("server", o.host), zap.Bool("nothing_read_yet", !o.heard), zap.Error(err))
	}
}

// end notes that somebody got an answer, or asks no longer.
func (o *outage) end(who any, answered bool) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.heard = o.heard || answered
	was := o.silent[who]
	delete(o.silent, who)
	if was && len(o.silent) == 0 && answered {
		o.log.Info("the API server answers again", zap.String("server", o.host), zap.Duration("after", time.Since(o.since)))
	}
}

// line tells of the outage, empty if there is none.
func (o *outage) line() string {
	if o == nil {
		return ""
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.silent) == 0 {
		return ""
	}
	what := "go on with what is known"
	if !o.heard {
		what = "nothing was read yet"
	}
	return strings.TrimSpace(fmt.Sprintf("%s does not answer (%s) since %s; %s", o.host, o.why, clockTime(o.since), what))
}

// clockTime is a time of today, or of the day that it is of.
func clockTime(t time.Time) string {
	t = t.UTC()
	if time.Since(t) < 12*time.Hour {
		return t.Format("15:04 UTC")
	}
	return t.Format("2006-01-02 15:04 UTC")
}

// cause is what an error comes from, without the requests that failed for it.
func cause(err error) string {
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
