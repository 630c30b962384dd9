// Package manifests uses a directory of YAML and JSON files as a source of objects: those that kubectl would apply. It serves them by
// list and watch, and reads the directory again when it changes.
//
// Promises: an error in a file affects only its object, and becomes a Problem with file, line and object; while a file or the
// directory cannot be read, its last objects stay in use. Names are valid as an API server would have it. Not promised: any other
// validation of an API server, or its defaults, except those that the relay needs.
package manifests

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"

	"promrelay/informers/files"
	"promrelay/informers/objects"
)

// maxManifest is how many bytes a file of manifests may have.
const maxManifest = 256 << 20

const (
	readAgainEvery = 5 * time.Second        // for file systems that send no notifications
	settleFor      = 100 * time.Millisecond // from a notification until the directory is read
)

// Directory is a directory of manifests. It ignores kinds that the relay does not use.
type Directory struct {
	*memoryAPI
	*decoder
	dir string

	// These belong to reread: New calls it, and then Run does.
	files map[string]manifest // by path
	root  os.FileInfo         // of the directory that was read last
	dirs  []string            // the directory and those in it, without links
	wrong []string            // problems of the published objects

	mu       sync.Mutex // guards what follows
	problems []string
	unknown  map[string][]string // unknown fields, by resource and key
}

// manifest is the content of one file.
type manifest struct {
	text    []byte
	objects []runtime.Object
	places  []document          // of the objects that this reading has found
	unknown map[string][]string // see Directory.unknown
	seen    map[string]bool     // objects, by resource and key
	errs    []error
	lost    bool // a part of the file could not be read
}

// New reads the directory. It returns an error if there is no such directory. A nil log means none.
func New(dir string, log *zap.Logger) (*Directory, error) {
	st, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("manifests.directory: %w", err)
	}
	if !st.IsDir() {
		return nil, fmt.Errorf("manifests.directory: %s is not a directory", dir)
	}
	c, err := newDecoder(defaultNamespace, log)
	if err != nil {
		return nil, fmt.Errorf("manifests: %w", err)
	}
	m := &Directory{memoryAPI: newMemoryAPI(), decoder: c, dir: dir, files: map[string]manifest{}}
	m.reread()
	return m, nil
}

// Namespaces returns none, which means all, and the one that kubectl would use.
func (m *Directory) Namespaces() ([]string, string) { return nil, defaultNamespace }

// Report does nothing: there are no Events of files.
func (m *Directory) Report(corev1.ObjectReference, objects.Event) {}

// Problems returns the errors of the files, as of the last reading.
func (m *Directory) Problems() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.problems
}

// Run reads the directory whenever it changes, until ctx ends.
func (m *Directory) Run(ctx context.Context) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch %s: %w", m.dir, err)
	}
	defer w.Close() //nolint:errcheck // nothing was written
	every := time.NewTicker(readAgainEvery)
	defer every.Stop()
	for {
		m.reread()
		m.follow(w)
		if !m.await(ctx, w, every.C) {
			return nil
		}
	}
}

// await returns when the directory is to be read again; false when ctx ends.
func (m *Directory) await(ctx context.Context, w *fsnotify.Watcher, every <-chan time.Time) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-every:
			return true
		case err := <-w.Errors:
			m.log.Warn("watch of the directory interrupted, it is read again", zap.NamedError("err", err))
			return true
		case e := <-w.Events:
			if m.concerns(e.Name) {
				return m.settleDown(ctx, w)
			}
		}
	}
}

// settleDown waits for the events that come together with a first one.
func (m *Directory) settleDown(ctx context.Context, w *fsnotify.Watcher) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(settleFor):
	}
	for len(w.Events) > 0 {
		<-w.Events
	}
	return true
}

// reread reads the directory now. While the directory is missing, the last objects stay in use.
func (m *Directory) reread() {
	found, err := m.list()
	if err != nil {
		m.setProblems(append([]string{"manifests.directory: " + err.Error() + ": what was read before stays in use"}, m.wrong...))
		return
	}
	now := map[string]manifest{}
	news := len(found.paths) != len(m.files)
	for _, path := range found.paths {
		text, err := files.ReadRegular(path, maxManifest)
		old, known := m.files[path]
		if known && err == nil && bytes.Equal(old.text, text) {
			now[path] = old
			continue
		}
		news = true
		f := manifest{errs: []error{err}, lost: true}
		if err == nil {
			f = m.decodeGuarded(path, text)
		}
		if f.lost {
			f.objects = append(slices.Clone(old.objects), f.objects...) // the later one is used
		}
		now[path] = f
	}
	for path, f := range m.files { // those in a directory that cannot be read
		if found.hides(path) {
			now[path] = f
			found.paths = append(found.paths, path)
		}
	}
	if news {
		slices.Sort(found.paths)
		m.wrong = m.publish(found.paths, now)
	}
	m.setProblems(slices.Concat(found.problems, m.wrong))
	m.files, m.root, m.dirs = now, found.root, found.dirs
}

func (m *Directory) setUnknown(unknown map[string][]string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unknown = unknown
}

// UnknownFields returns a sentence for each unknown field of an object.
func (m *Directory) UnknownFields(r *objects.Resource, key string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.unknown[r.Name+" "+key]
}

func (m *Directory) setProblems(problems []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range problems {
		if !slices.Contains(m.problems, p) {
			m.log.Warn("problem in a manifest", zap.String("problem", p))
		}
	}
	m.problems = problems
}

// publish serves the objects of all files. If two have the same name, it serves the one of the later file.
func (m *Directory) publish(paths []string, files map[string]manifest) (problems []string) {
	all := map[string]map[string]runtime.Object{}
	from := map[string]string{}
	unknown := map[string][]string{}
	defer func() { m.setUnknown(unknown) }()
	for _, path := range paths {
		for _, err := range files[path].errs {
			problems = append(problems, problemIn(path, err).String())
		}
		for _, o := range files[path].objects {
			r := objects.Of(o)
			obj, err := meta.Accessor(o)
			if r == nil || err != nil {
				continue
			}
			key := objects.Key(obj)
			if first, ok := from[r.Name+" "+key]; ok && first != path {
				problems = append(problems, fmt.Sprintf("%s: %s %s is in %s too: the one in %s counts", path, r.Name, key, first, path))
			}
			from[r.Name+" "+key] = path
			if delete(unknown, r.Name+" "+key); files[path].unknown[r.Name+" "+key] != nil {
				unknown[r.Name+" "+key] = files[path].unknown[r.Name+" "+key]
			}
			if all[r.Name] == nil {
				all[r.Name] = map[string]runtime.Object{}
			}
			all[r.Name][key] = o
		}
	}
	for _, r := range objects.All() {
		m.replace(r, all[r.Name])
	}
	return problems
}
