package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"promrelay/informers/objects"
)

var eventResource = schema.GroupResource{Group: "events.k8s.io", Resource: "events"}

// eventBook is the API of events of one namespace.
type eventBook struct {
	mu       sync.Mutex
	err      error // of every request
	requests int
	events   map[string]*eventsv1.Event
}

func (b *eventBook) Create(_ context.Context, e *eventsv1.Event, _ metav1.CreateOptions) (*eventsv1.Event, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests++
	switch {
	case b.err != nil:
		return nil, b.err
	case b.events[e.Name] != nil:
		return nil, apierrors.NewAlreadyExists(eventResource, e.Name)
	}
	b.events[e.Name] = e.DeepCopy()
	return e, nil
}

func (b *eventBook) Patch(_ context.Context, name string, pt types.PatchType, data []byte, _ metav1.PatchOptions, _ ...string) (*eventsv1.Event, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests++
	e := b.events[name]
	switch {
	case b.err != nil:
		return nil, b.err
	case e == nil || pt != types.MergePatchType:
		return nil, apierrors.NewNotFound(eventResource, name)
	}
	if err := json.Unmarshal(data, e); err != nil {
		return nil, err
	}
	return e.DeepCopy(), nil
}

func (b *eventBook) set(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err, b.requests = err, 0
}

// all returns the existing events, and the number of requests since set.
func (b *eventBook) all() (events []*eventsv1.Event, requests int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.events {
		events = append(events, e)
	}
	return events, b.requests
}

func withEvents(t *testing.T, f func(t *testing.T, s *eventSender, b *eventBook, logs *observer.ObservedLogs)) {
	synctest.Test(t, func(t *testing.T) {
		b := &eventBook{events: map[string]*eventsv1.Event{}}
		core, logs := observer.New(zapcore.DebugLevel)
		s := newEventSender(func(string) eventWriter { return b }, zap.New(core))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { s.run(ctx); close(done) }()
		f(t, s, b, logs)
		cancel()
		<-done
	})
}

func monitorRef(i int) corev1.ObjectReference {
	return corev1.ObjectReference{
		APIVersion: "monitoring.coreos.com/v1", Kind: "ServiceMonitor", Namespace: "shop", Name: fmt.Sprintf("web-%d", i),
		UID: types.UID(fmt.Sprintf("uid-%d", i)), ResourceVersion: "7",
	}
}

func rejected(reason string) objects.Event {
	return objects.Event{Reason: objects.Invalid, Text: "was rejected: " + reason}
}

func TestEventOfARejection(t *testing.T) {
	withEvents(t, func(t *testing.T, s *eventSender, b *eventBook, _ *observer.ObservedLogs) {
		start := time.Now()
		s.add(monitorRef(1), rejected("no such port"))
		settle(time.Second)
		all, _ := b.all()
		if len(all) != 1 {
			t.Fatalf("%d events, want 1", len(all))
		}
		e := all[0]
		if e.Namespace != "shop" || e.Type != "Warning" || e.Reason != "InvalidConfiguration" || e.Action != "SelectingConfigurationResources" ||
			e.Note != `"shop/web-1" was rejected: no such port` || e.Regarding != monitorRef(1) ||
			e.ReportingController != "promrelay" || !strings.HasPrefix(e.ReportingInstance, "promrelay-") || e.EventTime.Time.Before(start) || e.Series != nil {
			t.Errorf("got %+v", e)
		}
		// Again, in a later generation or process; for another reason; of another monitor of that name.
		for range 2 {
			s.add(monitorRef(1), rejected("no such port"))
			settle(time.Second)
		}
		if all, _ := b.all(); len(all) != 1 || all[0].Series == nil || all[0].Series.Count != 3 || all[0].Series.LastObservedTime.IsZero() {
			t.Errorf("after the same again, twice: %d events, the first with %v", len(all), all[0].Series)
		}
		s.add(monitorRef(1), rejected("no such path"))
		settle(time.Second)
		other := monitorRef(1)
		other.UID = "other"
		s.add(other, rejected("no such port"))
		settle(time.Second)
		if all, _ := b.all(); len(all) != 3 {
			t.Errorf("%d events, want 3", len(all))
		}
	})
}

// TestEventsOfAMonitorsState have their type, reason and message. Each is one Event, which goes on.
func TestEventsOfAMonitorsState(t *testing.T) {
	withEvents(t, func(t *testing.T, s *eventSender, b *eventBook, _ *observer.ObservedLogs) {
		for range 2 {
			s.add(monitorRef(1), objects.Event{Reason: objects.NoTargets, Text: "has none: no Service matches", Mend: "correct the selector"})
			settle(time.Second)
			s.add(monitorRef(1), objects.Event{Reason: objects.Recovered, Text: "has targets again: 1"})
			settle(time.Second)
		}
		got := map[string]int32{}
		all, _ := b.all()
		for _, e := range all {
			got[e.Type+" "+e.Reason+": "+e.Note] = e.Series.Count
		}
		want := map[string]int32{
			`Warning NoTargets: "shop/web-1" has none: no Service matches; what to change: correct the selector`: 2,
			`Normal Recovered: "shop/web-1" has targets again: 1`:                                                2,
		}
		if !maps.Equal(got, want) {
			t.Errorf("got %v\nwant %v", got, want)
		}
		// While they wait, the newest one is all that counts.
		b.set(errNoConnection)
		s.add(monitorRef(2), objects.Event{Reason: objects.NoTargets, Text: "has none"})
		s.add(monitorRef(2), objects.Event{Reason: objects.Recovered, Text: "has some"})
		settle(time.Second)
		b.set(nil)
		settle(2 * eventRetry)
		if all, _ := b.all(); len(all) != 3 {
			t.Errorf("%d events, want one more", len(all))
		}
	})
}

// TestEventsOfManyRejections: they are written slowly, each once, and an Event that finds no place has no
// effect.
func TestEventsOfManyRejections(t *testing.T) {
	withEvents(t, func(t *testing.T, s *eventSender, b *eventBook, logs *observer.ObservedLogs) {
		b.set(errNoConnection) // while it is unreachable they pile up
		for i := range 3 * eventQueue {
			s.add(monitorRef(i), rejected("first"))
			s.add(monitorRef(i), rejected("last"))
		}
		settle(time.Hour)
		if _, requests := b.all(); requests > int(time.Hour/eventRetry)+1 {
			t.Errorf("asked %d times in an hour", requests)
		}
		b.set(nil)
		settle(eventRetry + 10*time.Second)
		if all, _ := b.all(); len(all) > int(11*time.Second/eventPause)+1 || len(all) < 40 {
			t.Errorf("%d events in the first 10 s", len(all))
		}
		settle(eventQueue * eventPause)
		all, requests := b.all()
		if n := len(all); n < eventQueue || n > eventQueue+1 || requests != n { // one may have been under way
			t.Errorf("%d events by %d requests, want %d of each", n, requests, eventQueue)
		}
		for _, e := range all {
			if !strings.HasSuffix(e.Note, ": last") {
				t.Fatalf("note %q, want the last reason", e.Note)
			}
		}
		if logs.Len() != 2 {
			t.Errorf("%d lines in the log, want one about the API server and one about the queue: %v", logs.Len(), logs.All())
		}
		s.add(monitorRef(eventQueue*5), rejected("later"))
		settle(time.Second)
		if more, _ := b.all(); len(more) != len(all)+1 {
			t.Errorf("%d events after one more", len(more))
		}
	})
}

func TestEventsThatAreForbidden(t *testing.T) {
	for name, c := range map[string]struct {
		err      error
		late     bool // there is an event once the API server has changed its mind
		requests int  // for three rejections, in an hour
	}{
		"no role":      {apierrors.NewForbidden(eventResource, "", errors.New("no role")), true, 3 * eventTries},
		"no namespace": {apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "shop"), false, 3},
		"not accepted": {apierrors.NewInvalid(schema.GroupKind{Kind: "Event"}, "e", nil), false, 3},
	} {
		t.Run(name, func(t *testing.T) {
			withEvents(t, func(t *testing.T, s *eventSender, b *eventBook, logs *observer.ObservedLogs) {
				b.set(c.err)
				s.add(monitorRef(0), rejected("reason"))
				settle(time.Second)
				b.set(nil)
				settle(2 * eventRefused)
				if all, _ := b.all(); (len(all) == 1) != c.late {
					t.Errorf("%d events after the role has come", len(all))
				}
				before := logs.Len()
				b.set(c.err)
				for i := range 3 {
					s.add(monitorRef(i+1), rejected("reason"))
				}
				settle(time.Hour)
				if _, requests := b.all(); requests != c.requests {
					t.Errorf("asked %d times, want %d", requests, c.requests)
				}
				if before != 1 || logs.Len() > 2 {
					t.Errorf("%d and %d lines in the log: %v", before, logs.Len(), logs.All())
				}
			})
		})
	}
}

func TestEventsKeepTheBoundsOfTheAPI(t *testing.T) {
	s := newEventSender(nil, zap.NewNop())
	for name, text := range map[string]string{"ASCII": "a", "two bytes": "ä", "three bytes": "€", "four bytes": "🙂", "no UTF-8": "\xffa"} {
		for shift := range 4 {
			e := s.event(&message{monitor: monitorRef(1), Event: rejected(strings.Repeat("x", shift) + strings.Repeat(text, 3000))})
			if len(e.Note) > noteLimit || len(e.Note) < noteLimit-4 || !utf8.ValidString(e.Note) || !strings.HasSuffix(e.Note, "...") {
				t.Errorf("%s: note of %d bytes: %q", name, len(e.Note), e.Note)
			}
			m := &message{monitor: monitorRef(1), Event: rejected(strings.Repeat(text, 3000))}
			m.Mend = "correct it"
			if n := m.note(); len(n) > noteLimit || len(n) < noteLimit-4 || !utf8.ValidString(n) || !strings.HasSuffix(n, "...; what to change: correct it") {
				t.Errorf("%s: note of %d bytes: %q", name, len(n), n)
			}
			if m.Mend = strings.Repeat("x", shift) + strings.Repeat(text, 3000); len(m.note()) > noteLimit || len(m.note()) < noteLimit-8 || !utf8.ValidString(m.note()) {
				t.Errorf("%s: note of %d bytes: %q", name, len(m.note()), m.note())
			}
		}
	}
	for _, name := range []string{"a", strings.Repeat("a", 253), strings.Repeat("a", 235) + ".-." + strings.Repeat("b", 15)} {
		m := monitorRef(1)
		m.Name = name
		if e := s.event(&message{monitor: m}); len(validation.IsDNS1123Subdomain(e.Name)) > 0 {
			t.Errorf("event of %q is named %q", name, e.Name)
		}
	}
}

var errNoConnection = errors.New("dial tcp: connection refused")

// settle lets time pass, and then waits until nothing is under way.
func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
