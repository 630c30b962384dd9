// Package lastgood keeps the last accepted version of each monitor, in memory and in a directory with one file for each. If a change
// breaks a monitor, the relay scrapes it as before, also after a restart.
//
// Promises: a file is complete or absent, also after a power loss; it holds the name, the UID and the spec of a monitor, with its
// references to Secrets but without their values; a file that cannot be read affects no other file; a directory that cannot be written
// has no effect while the process runs. Not promised: that a version accepted within the last moments is on the disk after a kill.
package lastgood

import (
	"crypto/sha256"
	"strings"
	"sync"

	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"promrelay/targets"
)

// Store remembers monitors. Only Open and Run touch the disk.
type Store struct {
	log  *zap.Logger
	wake chan struct{} // of Run

	mu      sync.Mutex
	dir     string                       // empty: nothing is remembered
	objects map[string]runtime.Object    // by the name of the file
	written map[string][sha256.Size]byte // what the files hold; zeros for one that cannot be read
	stale   map[string]bool              // files that do not hold what objects has
	failing bool                         // the last file could not be written
}

// New returns a Store that remembers nothing until Open.
func New(log *zap.Logger) *Store {
	return &Store{log: log, wake: make(chan struct{}, 1)}
}

// Open reads a directory and uses it from now on; with "" nothing is remembered any more. The monitors that are known already stay known,
// and are written to the new directory.
func (s *Store) Open(dir string) {
	s.mu.Lock()
	same := s.dir == dir
	s.mu.Unlock()
	if same {
		return
	}
	objects, written := map[string]runtime.Object{}, map[string][sha256.Size]byte{}
	if dir != "" {
		objects, written = readDirectory(dir, s.log)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stale = map[string]bool{}
	if dir != "" {
		for name, o := range s.objects {
			objects[name], s.stale[name] = o, true
		}
	}
	s.dir, s.objects, s.written = dir, objects, written
	s.wakeRun()
}

// Keep remembers a monitor that was accepted. Nobody may change the object afterwards.
func (s *Store) Keep(owner targets.Owner, monitor any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := monitor.(runtime.Object)
	if s.dir == "" || !ok {
		return
	}
	name := fileName(owner)
	if s.objects[name] == o {
		return
	}
	s.objects[name], s.stale[name] = o, true
	s.wakeRun()
}

// Find returns the last accepted version of a rejected monitor, nil if there is none.
func (s *Store) Find(owner targets.Owner, rejected metav1.Object) runtime.Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[fileName(owner)]
	if o == nil {
		return nil
	}
	if m, err := meta.Accessor(o); err != nil || m.GetUID() != rejected.GetUID() { // another one of the same name
		return nil
	}
	return o
}

// Forget forgets a monitor.
func (s *Store) Forget(owner targets.Owner) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir != "" {
		s.forgetLocked(fileName(owner))
	}
}

// Retain forgets all monitors of a kind except these.
func (s *Store) Retain(kind targets.Kind, monitors []targets.Owner) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir == "" {
		return
	}
	retained := map[string]bool{}
	for _, owner := range monitors {
		retained[fileName(owner)] = true
	}
	for name := range s.written {
		if !retained[name] && strings.HasPrefix(name, filePrefix(kind)) {
			s.forgetLocked(name)
		}
	}
	for name := range s.objects {
		if !retained[name] && strings.HasPrefix(name, filePrefix(kind)) {
			s.forgetLocked(name)
		}
	}
}

func (s *Store) forgetLocked(name string) {
	_, written := s.written[name]
	if s.objects[name] != nil || written {
		delete(s.objects, name)
		s.stale[name] = true
		s.wakeRun()
	}
}

func (s *Store) wakeRun() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
