package informers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"promrelay/targets"
)

// secrets is a Backend that has Secrets only.
type secrets struct {
	Backend
	mu     sync.Mutex
	values map[string]string // by name, of the key k
	behind map[string]bool   // names that are not in a cache yet
	err    error
	reads  []time.Time
	fresh  int // reads past the cache
}

func (v *secrets) Read(_ context.Context, ref targets.Ref, fresh bool) (map[string][]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.reads = append(v.reads, time.Now())
	if fresh {
		v.fresh++
	}
	if v.err != nil {
		return nil, v.err
	}
	text, ok := v.values[ref.Name]
	if !ok || !fresh && v.behind[ref.Name] {
		return nil, nil
	}
	return map[string][]byte{"k": []byte(text)}, nil
}

func (v *secrets) set(f func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f()
}

func withReferences(t *testing.T, f func(t *testing.T, r *references, v *secrets, changes *int)) {
	synctest.Test(t, func(t *testing.T) {
		v := &secrets{values: map[string]string{}}
		var mu sync.Mutex
		changes := 0
		r := newReferences(v, zap.NewNop(), newMetrics(nil), func(targets.Ref) { mu.Lock(); changes++; mu.Unlock() })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { r.run(ctx); close(done) }()
		f(t, r, v, &changes)
		cancel()
		<-done
	})
}

func ref(name string) targets.Ref { return targets.Ref{Namespace: "ns", Name: name, Key: "k"} }

func TestReferencesAreReadAgain(t *testing.T) {
	withReferences(t, func(t *testing.T, r *references, v *secrets, changes *int) {
		v.set(func() { v.values["a"] = "1" })
		if _, err := r.Value(ref("a")); !errors.Is(err, targets.ErrPending) {
			t.Fatalf("before it is read: %v, want ErrPending", err)
		}
		synctest.Wait()
		if b, err := r.Value(ref("a")); string(b) != "1" || err != nil || *changes != 1 {
			t.Fatalf("got %q, %v after %d changes, want 1 after one", b, err, *changes)
		}
		v.set(func() { v.values["a"] = "2" })
		time.Sleep(refreshEvery)
		synctest.Wait()
		if b, _ := r.Value(ref("a")); string(b) != "2" || *changes != 2 {
			t.Fatalf("got %q after %d changes and %s, want 2 after two", b, *changes, refreshEvery)
		}
		// Values that cannot be read again stay in use.
		v.set(func() { v.err = errors.New("away") })
		time.Sleep(time.Minute)
		if b, err := r.Value(ref("a")); string(b) != "2" || err != nil {
			t.Fatalf("while the API server is away: %q, %v", b, err)
		}
		v.set(func() { v.err = nil; delete(v.values, "a") })
		time.Sleep(refreshEvery)
		synctest.Wait()
		if _, err := r.Value(ref("a")); err == nil || errors.Is(err, targets.ErrPending) {
			t.Fatalf("of a deleted one: %v", err)
		}
	})
}

func TestReferencesThatCannotBeRead(t *testing.T) {
	withReferences(t, func(t *testing.T, r *references, v *secrets, _ *int) {
		v.set(func() { v.err = errors.New("away"); v.values["a"] = "1" })
		_, _ = r.Value(ref("a"))
		time.Sleep(time.Minute)
		if _, err := r.Value(ref("a")); !errors.Is(err, targets.ErrPending) {
			t.Fatalf("while the API server is away: %v, want ErrPending", err)
		}
		v.set(func() { v.err = nil })
		time.Sleep(retryPause)
		synctest.Wait()
		if b, err := r.Value(ref("a")); string(b) != "1" {
			t.Fatalf("after it is back: %q, %v", b, err)
		}
		v.set(func() {
			v.err = fmt.Errorf("apply a Role: %w", apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "b", errors.New("no")))
		})
		_, _ = r.Value(ref("b"))
		synctest.Wait()
		if _, err := r.Value(ref("b")); err == nil || errors.Is(err, targets.ErrPending) {
			t.Fatalf("of a forbidden one: %v, want the refusal", err)
		}
	})
}

// TestReferencesToWhatCannotBe: the answer is there at once, and nobody is asked.
func TestReferencesToWhatCannotBe(t *testing.T) {
	withReferences(t, func(t *testing.T, r *references, v *secrets, _ *int) {
		for _, name := range []string{"", "a/b", "50%", ".", "..", "A", "a_b", "a b", "-a", "a\x00", strings.Repeat("a", 254)} {
			for _, configMap := range []bool{false, true} {
				_, err := r.Value(targets.Ref{ConfigMap: configMap, Namespace: "ns", Name: name, Key: "k"})
				if err == nil || errors.Is(err, targets.ErrPending) {
					t.Errorf("of %q: %v", name, err)
				}
			}
		}
		time.Sleep(time.Minute)
		v.set(func() {
			if len(v.reads) > 0 {
				t.Errorf("%d reads", len(v.reads))
			}
		})
		for _, name := range []string{"a", "0", "a.b-c", strings.Repeat("a", 253)} {
			if _, err := r.Value(ref(name)); !errors.Is(err, targets.ErrPending) {
				t.Errorf("of %q: %v, want ErrPending", name, err)
			}
		}
	})
}

// TestReferencesBeforeTheCacheHasThem: an object that is not in the cache is not treated as missing, and a missing
// one is confirmed once.
func TestReferencesBeforeTheCacheHasThem(t *testing.T) {
	withReferences(t, func(t *testing.T, r *references, v *secrets, changes *int) {
		confirmed := func(when string, reads, fresh int) {
			t.Helper()
			v.set(func() {
				if len(v.reads) != reads || v.fresh != fresh {
					t.Errorf("%s: %d reads, %d of them past the cache, want %d and %d", when, len(v.reads), v.fresh, reads, fresh)
				}
				v.reads, v.fresh = nil, 0
			})
		}
		v.set(func() { v.values["a"] = "1"; v.behind = map[string]bool{"a": true} })
		_, _ = r.Value(ref("a"))
		synctest.Wait()
		if b, err := r.Value(ref("a")); string(b) != "1" || *changes != 1 {
			t.Fatalf("got %q, %v after %d changes, want 1 after one", b, err, *changes)
		}
		confirmed("at first", 2, 1)
		time.Sleep(refreshEvery)
		synctest.Wait()
		if b, err := r.Value(ref("a")); string(b) != "1" || *changes != 1 {
			t.Fatalf("got %q, %v after %d changes while the cache lags", b, err, *changes)
		}
		confirmed("while the cache lags", 2, 1)
		v.set(func() { v.behind = nil })
		time.Sleep(refreshEvery)
		synctest.Wait()
		confirmed("when the cache has it", 1, 0)
		// It goes: that is confirmed, and believed from then on.
		v.set(func() { delete(v.values, "a") })
		time.Sleep(refreshEvery)
		synctest.Wait()
		if _, err := r.Value(ref("a")); err == nil || *changes != 2 {
			t.Fatalf("of a deleted one: %v after %d changes", err, *changes)
		}
		confirmed("when it goes", 2, 1)
		time.Sleep(10 * refreshEvery)
		synctest.Wait()
		confirmed("while it is missing", 10, 0)
		// An unreachable API server confirms nothing.
		v.set(func() { v.values["b"] = "1"; v.behind = map[string]bool{"b": true}; v.err = errors.New("away") })
		_, _ = r.Value(ref("b"))
		time.Sleep(refreshEvery)
		v.set(func() { v.err = nil })
		time.Sleep(refreshEvery)
		synctest.Wait()
		if b, err := r.Value(ref("b")); string(b) != "1" {
			t.Fatalf("after it is back: %q, %v", b, err)
		}
	})
}

func TestHurriedReferences(t *testing.T) {
	withReferences(t, func(t *testing.T, r *references, v *secrets, _ *int) {
		v.set(func() { v.values["a"] = "1" })
		_, _ = r.Value(ref("a"))
		synctest.Wait()
		v.set(func() { v.values["a"] = "2" })
		for range 100 { // many targets refuse at once
			r.hurry(ref("a"))
		}
		time.Sleep(retryPause)
		synctest.Wait()
		if b, _ := r.Value(ref("a")); string(b) != "2" {
			t.Errorf("got %q %s after a refusal, want 2", b, retryPause)
		}
		v.set(func() {
			if len(v.reads) > 3 {
				t.Errorf("%d reads, want one for many refusals", len(v.reads))
			}
		})
	})
}

func TestRateOfReads(t *testing.T) {
	for _, n := range []int{1, 50, 100, 500} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			withReferences(t, func(t *testing.T, r *references, v *secrets, _ *int) {
				for i := range n {
					_, _ = r.Value(ref(fmt.Sprint(i)))
				}
				time.Sleep(time.Minute) // the first reads are at once
				var reads []time.Time
				v.set(func() { v.reads = nil })
				time.Sleep(100 * time.Second)
				v.set(func() { reads = v.reads })
				want := min(10*n, 1000)
				if got := len(reads); got < want*9/10 || got > want*11/10 {
					t.Errorf("%d reads of %d objects in 100 s, want about %d", got, n, want)
				}
				for i := 1; i < len(reads); i++ {
					if gap := reads[i].Sub(reads[i-1]); gap < refreshPause {
						t.Fatalf("two reads within %s, want at least %s", gap, refreshPause)
					}
				}
			})
		})
	}
}
