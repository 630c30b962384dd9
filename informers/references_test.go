package informers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"promrelay/targets"
)

// vault is a Backend of which only the Secrets are asked for.
type vault struct {
	Backend
	mu     sync.Mutex
	values map[string]string // by name, of the key k
	err    error
	reads  []time.Time
}

func (v *vault) read(_ context.Context, ref targets.Ref) (map[string][]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.reads = append(v.reads, time.Now())
	if v.err != nil {
		return nil, v.err
	}
	text, ok := v.values[ref.Name]
	if !ok {
		return nil, nil
	}
	return map[string][]byte{"k": []byte(text)}, nil
}

func (v *vault) set(f func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f()
}

func withReferences(t *testing.T, f func(t *testing.T, r *references, v *vault, changes *int)) {
	synctest.Test(t, func(t *testing.T) {
		v := &vault{values: map[string]string{}}
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
	withReferences(t, func(t *testing.T, r *references, v *vault, changes *int) {
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
		// What cannot be read stays in use.
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
	withReferences(t, func(t *testing.T, r *references, v *vault, _ *int) {
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
			v.err = readError(apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "b", errors.New("no")))
		})
		_, _ = r.Value(ref("b"))
		synctest.Wait()
		if _, err := r.Value(ref("b")); err == nil || errors.Is(err, targets.ErrPending) {
			t.Fatalf("of a forbidden one: %v, want the refusal", err)
		}
	})
}

func TestHurriedReferences(t *testing.T) {
	withReferences(t, func(t *testing.T, r *references, v *vault, _ *int) {
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
			withReferences(t, func(t *testing.T, r *references, v *vault, _ *int) {
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
