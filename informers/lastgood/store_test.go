package lastgood

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"promrelay/targets"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// withStore runs a Store on a directory, in a bubble where time passes when everyone waits. When it returns, all is written that can be.
func withStore(t *testing.T, dir string, f func(s *Store, logs *observer.ObservedLogs)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.DebugLevel)
		s := New(zap.New(core))
		s.Open(dir)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { s.Run(ctx); close(done) }()
		f(s, logs)
		cancel()
		<-done
	})
}

// texts returns the texts of the files of a directory, by name.
func texts(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = string(text)
	}
	return out
}

func someMonitor(name string) (targets.Owner, *monitoringv1.ServiceMonitor) {
	m := &monitoringv1.ServiceMonitor{}
	m.Namespace, m.Name, m.UID = "shop", name, "u"
	m.Spec.Endpoints = []monitoringv1.Endpoint{{Port: "http"}}
	return targets.Owner{Kind: targets.ServiceMonitor, Namespace: "shop", Name: name}, m
}

// TestEveryKind comes back from the disk as it was.
func TestEveryKind(t *testing.T) {
	_, sm := someMonitor("a")
	scrape := &monitoringv1alpha1.ScrapeConfig{}
	scrape.Spec.JobName = new("j")
	for kind, m := range map[targets.Kind]interface {
		runtime.Object
		metav1.Object
	}{
		targets.ServiceMonitor: sm, targets.PodMonitor: &monitoringv1.PodMonitor{}, targets.Probe: &monitoringv1.Probe{}, targets.ScrapeConfig: scrape,
	} {
		dir, owner := t.TempDir(), targets.Owner{Kind: kind, Namespace: "shop", Name: "a"}
		m.SetNamespace("shop")
		m.SetName("a")
		m.SetUID("u")
		m.SetLabels(map[string]string{"not": "kept"})
		withStore(t, dir, func(s *Store, _ *observer.ObservedLogs) { s.Keep(owner, m) })
		withStore(t, dir, func(s *Store, logs *observer.ObservedLogs) {
			got, ok := s.Find(owner, m).(metav1.Object)
			if !ok || got.GetName() != "a" || got.GetNamespace() != "shop" || got.GetUID() != "u" || got.GetLabels() != nil || logs.Len() > 0 {
				t.Errorf("%s: read %+v; %v", kind, got, logs.All())
			}
			if c, ok := got.(*monitoringv1alpha1.ScrapeConfig); ok && *c.Spec.JobName != "j" {
				t.Errorf("read %+v", c.Spec)
			}
		})
	}
}

// TestWithoutADirectory: nothing can be written. That is logged once, and memory keeps everything. When writing is possible, all is
// written.
func TestWithoutADirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "file", "dir")
	if err := os.WriteFile(filepath.Dir(dir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	withStore(t, dir, func(s *Store, logs *observer.ObservedLogs) {
		for _, name := range []string{"a", "b", "../../c", strings.Repeat("d", 253)} {
			o, m := someMonitor(name)
			s.Keep(o, m)
			synctest.Wait()
			if got := s.Find(o, m); got != runtime.Object(m) {
				t.Errorf("found %v", got)
			}
		}
		if n := logs.FilterMessage("last good monitors cannot be written").Len(); n != 1 {
			t.Errorf("%d lines in the log: %v", n, logs.All())
		}
		if err := os.Remove(filepath.Dir(dir)); err != nil {
			t.Fatal(err)
		}
	})
	if n := len(texts(t, dir)); n != 4 {
		t.Errorf("%d files, want 4: %v", n, texts(t, dir))
	}
	withStore(t, dir, func(s *Store, _ *observer.ObservedLogs) {
		o, m := someMonitor("../../c")
		got, ok := s.Find(o, m).(*monitoringv1.ServiceMonitor)
		if !ok || got.Name != "../../c" || got.UID != "u" || got.Spec.Endpoints[0].Port != "http" {
			t.Errorf("read %+v", got)
		}
	})
}

// TestRetry writes again after half a minute, without anything new.
func TestRetry(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "file", "dir")
	if err := os.WriteFile(filepath.Dir(dir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	withStore(t, dir, func(s *Store, logs *observer.ObservedLogs) {
		s.Keep(someMonitor("a"))
		synctest.Wait()
		if err := os.Remove(filepath.Dir(dir)); err != nil {
			t.Fatal(err)
		}
		pass(retryAfter)
		if logs.FilterMessage("last good monitors are written again").Len() != 1 || len(texts(t, dir)) != 1 {
			t.Errorf("%d files, the log is %v", len(texts(t, dir)), logs.All())
		}
	})
}

// TestOpen moves the known monitors to another directory; without a directory nothing is remembered.
func TestOpen(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	o, m := someMonitor("web")
	withStore(t, a, func(s *Store, _ *observer.ObservedLogs) {
		s.Keep(o, m)
		s.Open(b)
		if s.Find(o, m) == nil {
			t.Error("not found after the move")
		}
	})
	if len(texts(t, b)) != 1 {
		t.Errorf("the new directory holds %v", texts(t, b))
	}
	withStore(t, b, func(s *Store, _ *observer.ObservedLogs) {
		s.Open("")
		s.Keep(o, m)
		if s.Find(o, m) != nil {
			t.Error("found without a directory")
		}
		s.Forget(o)
		s.Retain(targets.ServiceMonitor, nil)
	})
	if len(texts(t, b)) != 1 {
		t.Errorf("the directory that is not in use holds %v", texts(t, b))
	}
	withStore(t, b, func(s *Store, _ *observer.ObservedLogs) {
		s.Retain(targets.PodMonitor, nil)
		if s.Find(o, m) == nil {
			t.Error("not found after another kind was forgotten")
		}
		other := m.DeepCopy()
		other.UID = "another"
		if s.Find(o, other) != nil {
			t.Error("found for another monitor of the same name")
		}
		s.Keep(o, m)
		s.Forget(o)
	})
	if len(texts(t, b)) != 0 {
		t.Errorf("what was forgotten has left %v", texts(t, b))
	}
}

// TestBadFiles: a file that cannot be read is skipped, and replaced when its monitor is kept again.
func TestBadFiles(t *testing.T) {
	o, m := someMonitor("web")
	name, other := fileName(o), fileName(targets.Owner{Kind: targets.ServiceMonitor, Namespace: "shop", Name: "other"})
	good := t.TempDir()
	withStore(t, good, func(s *Store, _ *observer.ObservedLogs) { s.Keep(o, m) })
	sound := texts(t, good)[name]
	for what, text := range map[string]string{
		"empty": "", "torn": sound[:len(sound)/2], "other": strings.ReplaceAll(sound, `"web"`, `"other"`), "type": `{"kind": "ServiceMonitor", "spec": 1}`,
		"no kind": "{}", "null": "null", "wrong": strings.ReplaceAll(sound, `"port": "http"`, `"port": 8`), "large": sound + strings.Repeat(" ", maxBytes),
		"no version": strings.ReplaceAll(sound, "monitoring.coreos.com/v1", "monitoring.coreos.com/v0"),
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			temporary := "." + name + ".1.tmp"
			for name, text := range map[string]string{name: text, other: sound, temporary: "x", "README": "x"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			withStore(t, dir, func(s *Store, logs *observer.ObservedLogs) {
				if got := s.Find(o, m); got != nil || logs.FilterMessage("a last good monitor cannot be read, go on without it").Len() != 2 {
					t.Errorf("found %v, the log is %v", got, logs.All())
				}
				s.Keep(o, m)
				s.Retain(targets.ServiceMonitor, []targets.Owner{o})
			})
			if got := texts(t, dir); len(got) != 2 || got[name] != sound || got["README"] != "x" {
				t.Errorf("the directory holds %q", got)
			}
		})
	}
}

// TestUnchanged: a file that holds the same already is not written again.
func TestUnchanged(t *testing.T) {
	dir := t.TempDir()
	o, m := someMonitor("web")
	withStore(t, dir, func(s *Store, _ *observer.ObservedLogs) { s.Keep(o, m) })
	before, err := os.Stat(filepath.Join(dir, fileName(o)))
	if err != nil {
		t.Fatal(err)
	}
	labelled := m.DeepCopy()
	labelled.Labels = map[string]string{"a": "b"}
	withStore(t, dir, func(s *Store, _ *observer.ObservedLogs) { s.Keep(o, labelled) })
	if after, err := os.Stat(filepath.Join(dir, fileName(o))); err != nil || !os.SameFile(before, after) {
		t.Errorf("the file was replaced: %v", err)
	}
}

// pass lets time pass in the bubble.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
