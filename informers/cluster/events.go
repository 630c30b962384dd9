package cluster

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

	"promrelay/informers/objects"
)

// Texts of Events. The action is prometheus-operator's.
const (
	eventAction = "SelectingConfigurationResources"
	reporter    = "promrelay"
)

// Bounds of the API, in bytes.
const (
	noteLimit     = 1024
	instanceLimit = 128
	nameLimit     = 253
)

// The relay's own bounds.
const (
	eventQueue   = 1000 // messages that may wait; more are dropped
	eventPause   = 200 * time.Millisecond
	eventTimeout = 10 * time.Second
	eventRetry   = 10 * time.Second // until the next try, while the API server does not answer
	eventRefused = time.Minute      // until a forbidden one is tried again: the role or the API server may be new
	eventTries   = 5                // tries of a forbidden Event
)

// eventWriter is the part of the Events API that the relay needs, in one namespace.
type eventWriter interface {
	Create(ctx context.Context, e *eventsv1.Event, o metav1.CreateOptions) (*eventsv1.Event, error)
	Patch(ctx context.Context, name string, pt types.PatchType, data []byte, o metav1.PatchOptions, subresources ...string) (*eventsv1.Event, error)
}

// eventSender writes messages about monitors as Events, one by one and slowly: they are for people, and nothing waits for them. (The recorder of
// client-go starts a goroutine for each Event, and logs each failure.)
//
// An Event's name is derived from the monitor and the message. So a monitor that is rejected again for the same reason continues the
// series of its first Event. This also holds for a later generation of the monitor and for a later process.
type eventSender struct {
	in       func(namespace string) eventWriter
	instance string
	log      *zap.Logger
	wake     chan struct{}

	mu      sync.Mutex
	queue   []*message
	full    bool // a message was dropped
	failing bool // the last Event could not be written
}

// message is the content of one Event.
type message struct {
	monitor corev1.ObjectReference
	objects.Event
	at    time.Time
	due   time.Time // not sent before
	tries int       // how many were forbidden
}

func newEventSender(in func(namespace string) eventWriter, log *zap.Logger) *eventSender {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return &eventSender{in: in, instance: shorten(reporter+"-"+host, instanceLimit), log: log, wake: make(chan struct{}, 1)}
}

// add queues a message. It does not wait. It replaces a queued message about the same monitor.
func (s *eventSender) add(monitor corev1.ObjectReference, e objects.Event) {
	m := &message{monitor: monitor, Event: e, at: time.Now()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.findLocked(monitor); i >= 0 {
		s.queue[i] = m
		return
	}
	if len(s.queue) >= eventQueue {
		if !s.full {
			s.log.Warn("events of monitors dropped, the queue is full", zap.Int("waiting", len(s.queue)))
		}
		s.full = true
		return
	}
	s.queue = append(s.queue, m)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run writes Events until ctx ends.
func (s *eventSender) run(ctx context.Context) {
	for {
		m, wait := s.next(time.Now())
		if m != nil {
			wait = s.settle(ctx, m, s.send(ctx, m))
		}
		var wake chan struct{}
		if m == nil {
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

// next takes the message that is due. If none is due, it returns how long to wait for one.
func (s *eventSender) next(now time.Time) (*message, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait := time.Hour
	for i, m := range s.queue {
		left := m.due.Sub(now)
		if left <= 0 {
			s.queue = slices.Delete(s.queue, i, i+1)
			return m, 0
		}
		wait = min(wait, left)
	}
	s.full = s.full && len(s.queue) > 0
	return nil, wait
}

// settle decides what happens to a message after a try to send it, and how long to pause.
func (s *eventSender) settle(ctx context.Context, m *message, err error) (pause time.Duration) {
	if ctx.Err() != nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && !s.failing {
		s.log.Warn("events of monitors cannot be written", zap.String("monitor", m.monitor.Namespace+"/"+m.monitor.Name), zap.NamedError("err", err))
	}
	s.failing = err != nil
	switch {
	case err == nil:
	case Unreachable(err) || apierrors.IsTooManyRequests(err) || apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err) || apierrors.IsInternalError(err):
		s.putBackLocked(0, m)
		return eventRetry
	case apierrors.IsForbidden(err):
		if m.tries++; m.tries < eventTries {
			m.due = time.Now().Add(eventRefused)
			s.putBackLocked(len(s.queue), m)
		}
	}
	return eventPause
}

// putBackLocked queues a message again, unless a newer one about the same monitor is queued.
func (s *eventSender) putBackLocked(at int, m *message) {
	if s.findLocked(m.monitor) < 0 {
		s.queue = slices.Insert(s.queue, at, m)
	}
}

func (s *eventSender) findLocked(monitor corev1.ObjectReference) int {
	return slices.IndexFunc(s.queue, func(m *message) bool { return m.monitor.UID == monitor.UID })
}

// send writes the Event of a message, or continues the series of an existing one.
func (s *eventSender) send(ctx context.Context, m *message) error {
	ctx, cancel := context.WithTimeout(ctx, eventTimeout)
	defer cancel()
	e := s.event(m)
	api := s.in(e.Namespace)
	_, err := api.Create(ctx, e, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	was, err := api.Patch(ctx, e.Name, types.MergePatchType, []byte("{}"), metav1.PatchOptions{}) // an empty patch reads it, without the right to get
	if err != nil {
		return err
	}
	series := eventsv1.EventSeries{Count: 2, LastObservedTime: metav1.NewMicroTime(m.at)}
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

func (s *eventSender) event(m *message) *eventsv1.Event {
	hash := sha256.Sum256([]byte(string(m.monitor.UID) + "\n" + string(m.Reason) + "\n" + m.Text))
	suffix := fmt.Sprintf(".%x", hash[:8])
	name := strings.TrimRight(m.monitor.Name[:min(len(m.monitor.Name), nameLimit-len(suffix))], "-.")
	kind := corev1.EventTypeWarning
	if m.Reason == objects.Recovered {
		kind = corev1.EventTypeNormal
	}
	return &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: name + suffix, Namespace: m.monitor.Namespace},
		EventTime:  metav1.NewMicroTime(m.at), ReportingController: reporter, ReportingInstance: s.instance,
		Type: kind, Reason: string(m.Reason), Action: eventAction, Regarding: m.monitor, Note: m.note(),
	}
}

// note is the message, with what to change.
func (m *message) note() string {
	text := fmt.Sprintf("%q %s", m.monitor.Namespace+"/"+m.monitor.Name, m.Text)
	if m.Mend == "" {
		return shorten(text, noteLimit)
	}
	mend := shorten("; what to change: "+m.Mend, noteLimit/2)
	return shorten(text, noteLimit-len(mend)) + mend
}

// shorten cuts a text to a number of bytes, between two characters, and marks the cut.
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
