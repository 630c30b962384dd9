package informers

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// What events of rejected monitors say: the words of prometheus-operator, so that those who look for these find ours.
const (
	eventReason = "InvalidConfiguration"
	eventAction = "SelectingConfigurationResources"
	reporter    = "promrelay"
)

// Bounds of the API, in bytes.
const (
	noteLimit     = 1024
	instanceLimit = 128
	nameLimit     = 253
)

// Bounds of our own.
const (
	eventQueue   = 1000 // rejections that wait to be told; later ones are then not told
	eventPause   = 200 * time.Millisecond
	eventTimeout = 10 * time.Second
	eventAway    = 10 * time.Second // until the next one, while the API server does not answer
	eventRefused = time.Minute      // until one that was forbidden is tried again: the role may be new, or the API server
	eventTries   = 5                // of one that is forbidden
	toldReasons  = 10               // events for one generation of a monitor
)

// told are the rejections of one monitor that were told, so that each is told once.
type told struct {
	uid        types.UID
	generation int64
	reasons    []string
}

// first tells whether this rejection was not told yet, and notes that it is.
func (t *told) first(m metav1.Object, reason string) bool {
	if t.uid != m.GetUID() || t.generation != m.GetGeneration() {
		*t = told{uid: m.GetUID(), generation: m.GetGeneration()}
	}
	if len(t.reasons) >= toldReasons || slices.Contains(t.reasons, reason) {
		return false
	}
	t.reasons = append(t.reasons, reason)
	return true
}

// eventWriter is what is needed of the API of events in one namespace.
type eventWriter interface {
	Create(ctx context.Context, e *eventsv1.Event, o metav1.CreateOptions) (*eventsv1.Event, error)
	Patch(ctx context.Context, name string, pt types.PatchType, data []byte, o metav1.PatchOptions, subresources ...string) (*eventsv1.Event, error)
}

// eventSender writes rejections as events, one after the other and slowly: they are for people, and nothing waits for them.
// (The recorder of client-go starts a goroutine for each event, and logs each failure.)
//
// An event's name follows from the monitor and the reason. So one that is rejected for the same reason again, in a later
// generation or by a later process, adds to the series of the first event and makes no other one.
type eventSender struct {
	in       func(namespace string) eventWriter
	instance string
	log      *zap.Logger
	wake     chan struct{}

	mu      sync.Mutex
	queue   []*rejection
	full    bool // a rejection found no place in the queue
	failing bool // the last event could not be written
}

// rejection is what an event tells.
type rejection struct {
	monitor corev1.ObjectReference
	reason  string
	at      time.Time
	due     time.Time // not to be sent before
	tries   int       // that were forbidden
}

func newEventSender(in func(namespace string) eventWriter, log *zap.Logger) *eventSender {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return &eventSender{in: in, instance: shorten(reporter+"-"+host, instanceLimit), log: log, wake: make(chan struct{}, 1)}
}

// tell has a rejection written some time. It does not wait. What waits for the same monitor is out of date.
func (s *eventSender) tell(monitor corev1.ObjectReference, reason string) {
	r := &rejection{monitor: monitor, reason: reason, at: time.Now()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.findLocked(monitor); i >= 0 {
		s.queue[i] = r
		return
	}
	if len(s.queue) >= eventQueue {
		if !s.full {
			s.log.Warn("more monitors are rejected than events can be written of", zap.Int("waiting", len(s.queue)))
		}
		s.full = true
		return
	}
	s.queue = append(s.queue, r)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run writes events until ctx ends.
func (s *eventSender) run(ctx context.Context) {
	for {
		r, wait := s.next(time.Now())
		if r != nil {
			wait = s.settle(ctx, r, s.send(ctx, r))
		}
		var wake chan struct{}
		if r == nil {
			wake = s.wake
		}
		select {
		case <-ctx.Done():
			return
		case <-wake:
		case <-time.After(wait):
		}
	}
}

// next takes the rejection that is to be told now, or says how long there is none.
func (s *eventSender) next(now time.Time) (*rejection, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait := time.Hour
	for i, r := range s.queue {
		left := r.due.Sub(now)
		if left <= 0 {
			s.queue = slices.Delete(s.queue, i, i+1)
			return r, 0
		}
		wait = min(wait, left)
	}
	s.full = s.full && len(s.queue) > 0
	return nil, wait
}

// settle decides what becomes of a rejection that was sent, and how long nothing is sent.
func (s *eventSender) settle(ctx context.Context, r *rejection, err error) (pause time.Duration) {
	if ctx.Err() != nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && !s.failing {
		s.log.Warn("events of rejected monitors cannot be written", zap.String("monitor", r.monitor.Namespace+"/"+r.monitor.Name), zap.Error(err))
	}
	s.failing = err != nil
	switch {
	case err == nil:
	case away(err) || apierrors.IsTooManyRequests(err) || apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err) || apierrors.IsInternalError(err):
		s.putBackLocked(0, r)
		return eventAway
	case forbidden(err):
		if r.tries++; r.tries < eventTries {
			r.due = time.Now().Add(eventRefused)
			s.putBackLocked(len(s.queue), r)
		}
	}
	return eventPause
}

// putBackLocked has a rejection tried again, unless a newer one of the same monitor waits.
func (s *eventSender) putBackLocked(at int, r *rejection) {
	if s.findLocked(r.monitor) < 0 {
		s.queue = slices.Insert(s.queue, at, r)
	}
}

func (s *eventSender) findLocked(monitor corev1.ObjectReference) int {
	return slices.IndexFunc(s.queue, func(r *rejection) bool { return r.monitor.UID == monitor.UID })
}

// send writes the event of a rejection, or adds to the series of the one that is there.
func (s *eventSender) send(ctx context.Context, r *rejection) error {
	ctx, cancel := context.WithTimeout(ctx, eventTimeout)
	defer cancel()
	e := s.event(r)
	api := s.in(e.Namespace)
	_, err := api.Create(ctx, e, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	was, err := api.Patch(ctx, e.Name, types.MergePatchType, []byte("{}"), metav1.PatchOptions{}) // reads it, without the right to
	if err != nil {
		return err
	}
	series := eventsv1.EventSeries{Count: 2, LastObservedTime: metav1.NewMicroTime(r.at)}
	if was.Series != nil {
		series.Count = was.Series.Count + 1
	}
	patch, err := json.Marshal(map[string]any{"series": series})
	if err != nil {
		return err
	}
	_, err = api.Patch(ctx, e.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

func (s *eventSender) event(r *rejection) *eventsv1.Event {
	hash := sha256.Sum256([]byte(string(r.monitor.UID) + "\n" + r.reason))
	suffix := fmt.Sprintf(".%x", hash[:8])
	name := strings.TrimRight(r.monitor.Name[:min(len(r.monitor.Name), nameLimit-len(suffix))], "-.")
	return &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: name + suffix, Namespace: r.monitor.Namespace},
		EventTime:  metav1.NewMicroTime(r.at), ReportingController: reporter, ReportingInstance: s.instance,
		Type: corev1.EventTypeWarning, Reason: eventReason, Action: eventAction, Regarding: r.monitor,
		Note: shorten(fmt.Sprintf("%q was rejected due to invalid configuration: %s", r.monitor.Namespace+"/"+r.monitor.Name, r.reason), noteLimit),
	}
}

// shorten cuts a text to a number of bytes, between two characters.
func shorten(text string, limit int) string {
	const more = "..."
	text = strings.ToValidUTF8(text, "?")
	if len(text) <= limit {
		return text
	}
	end := limit - len(more)
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + more
}

// reference names a monitor as events do.
func reference(r *resource, m metav1.Object) corev1.ObjectReference {
	return corev1.ObjectReference{
		APIVersion: r.groupVersion(), Kind: string(r.kind), Namespace: m.GetNamespace(), Name: m.GetName(),
		UID: m.GetUID(), ResourceVersion: m.GetResourceVersion(),
	}
}
