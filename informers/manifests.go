package informers

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/prometheus-operator/prometheus-operator/pkg/client/versioned/scheme"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
)

const (
	readAgainEvery = 5 * time.Second        // where notifications do not come, as on some network file systems
	settleFor      = 100 * time.Millisecond // after a notification, until a directory is read
)

// Manifests is a directory of YAML and JSON files as a Backend: objects as kubectl would apply them. Kinds that have no meaning
// for the relay are passed over. What is wrong with a file costs only the object that it stands in.
type Manifests struct {
	*shelf
	dir  string
	log  *zap.Logger
	json runtime.Decoder

	scheme *runtime.Scheme
	// What follows is that of whoever rereads.
	files map[string]manifest
	root  os.FileInfo // of the directory that was read last
	dirs  []string    // that it consists of, without links
	wrong []string    // with what was published

	mu       sync.Mutex
	problems []string
	unknown  map[string][]string // fields that nobody knows, by resource and key
}

// manifest is what stands in one file.
type manifest struct {
	text    []byte
	objects []runtime.Object
	unknown map[string][]string // see Manifests.unknown
	seen    map[string]bool     // objects, by resource and key
	errs    []error
	lost    bool // some of the file could not be read
}

// NewManifests reads the directory and returns it as a Backend; it is an error if there is no such directory.
func NewManifests(dir string, log *zap.Logger) (*Manifests, error) {
	st, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("manifests.directory: %w", err)
	}
	if !st.IsDir() {
		return nil, fmt.Errorf("manifests.directory: %s is no directory", dir)
	}
	if log == nil {
		log = zap.NewNop()
	}
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientscheme.AddToScheme, scheme.AddToScheme} {
		if err := add(s); err != nil {
			return nil, fmt.Errorf("manifests: %w", err)
		}
	}
	m := &Manifests{
		shelf: newShelf(), dir: dir, log: log, scheme: s, files: map[string]manifest{},
		json: oneByOne{json.NewSerializerWithOptions(json.DefaultMetaFactory, s, s, json.SerializerOptions{Strict: true}), false},
	}
	m.reread()
	return m, nil
}

func (m *Manifests) namespaces() ([]string, string) { return nil, "default" }

// rejected does nothing: files bear no events.
func (m *Manifests) rejected(corev1.ObjectReference, string) {}

// Problems are the errors of files, as of the last reading.
func (m *Manifests) Problems() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.problems
}

// run reads the directory when it changes.
func (m *Manifests) run(ctx context.Context) error {
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
func (m *Manifests) await(ctx context.Context, w *fsnotify.Watcher, every <-chan time.Time) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-every:
			return true
		case err := <-w.Errors:
			m.log.Warn("watch of the directory is interrupted", zap.Error(err))
			return true
		case e := <-w.Events:
			if m.concerns(e.Name) {
				return m.settleDown(ctx, w)
			}
		}
	}
}

// settleDown waits for what comes together with a first event.
func (m *Manifests) settleDown(ctx context.Context, w *fsnotify.Watcher) bool {
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

// reread reads the directory now. While it is not there, what was read last counts.
func (m *Manifests) reread() {
	found, err := m.list()
	if err != nil {
		m.setProblems(append([]string{"manifests.directory: " + err.Error() + ": go on with what was read before"}, m.wrong...))
		return
	}
	files := map[string]manifest{}
	news := len(found.paths) != len(m.files)
	for _, path := range found.paths {
		text, err := readRegular(path, manifestBytes)
		old, known := m.files[path]
		if known && err == nil && bytes.Equal(old.text, text) {
			files[path] = old
			continue
		}
		news = true
		f := manifest{errs: []error{err}, lost: true}
		if err == nil {
			f = m.decodeAlone(path, text)
		}
		if f.lost {
			f.objects = append(slices.Clone(old.objects), f.objects...) // the later one counts
		}
		files[path] = f
	}
	for path, f := range m.files { // of a directory that cannot be read
		if found.hides(path) {
			files[path] = f
			found.paths = append(found.paths, path)
		}
	}
	if news {
		slices.Sort(found.paths)
		m.wrong = m.publish(found.paths, files)
	}
	m.setProblems(slices.Concat(found.problems, m.wrong))
	m.files, m.root, m.dirs = files, found.root, found.dirs
}

func (m *Manifests) setUnknown(unknown map[string][]string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unknown = unknown
}

// remarks are the fields of an object that nobody knows.
func (m *Manifests) remarks(r *resource, key string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.unknown[r.name+" "+key]
}

func (m *Manifests) setProblems(problems []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range problems {
		if !slices.Contains(m.problems, p) {
			m.log.Warn("a manifest is not as it should be", zap.String("problem", p))
		}
	}
	m.problems = problems
}

// publish puts the objects of all files on the shelf. Of two with one name, the one of the later file counts.
func (m *Manifests) publish(paths []string, files map[string]manifest) (problems []string) {
	all := map[string]map[string]runtime.Object{}
	from := map[string]string{}
	unknown := map[string][]string{}
	defer func() { m.setUnknown(unknown) }()
	for _, path := range paths {
		for _, err := range files[path].errs {
			problems = append(problems, path+": "+err.Error())
		}
		for _, o := range files[path].objects {
			r := resourceFor(o)
			obj, err := meta.Accessor(o)
			if r == nil || err != nil {
				continue
			}
			key := namespacedKey(obj)
			if first, ok := from[r.name+" "+key]; ok && first != path {
				problems = append(problems, fmt.Sprintf("%s: %s %s stands in %s too: that of %s counts", path, r.name, key, first, path))
			}
			from[r.name+" "+key] = path
			if delete(unknown, r.name+" "+key); files[path].unknown[r.name+" "+key] != nil {
				unknown[r.name+" "+key] = files[path].unknown[r.name+" "+key]
			}
			if all[r.name] == nil {
				all[r.name] = map[string]runtime.Object{}
			}
			all[r.name][key] = o
		}
	}
	for _, r := range slices.Concat(slices.Collect(maps.Values(resources)), unwatched) {
		m.replace(r, all[r.name])
	}
	return problems
}

// unwatched are the resources that are only read by name.
var unwatched = []*resource{
	{name: "secrets", version: "v1", example: &corev1.Secret{}},
	{name: "configmaps", version: "v1", example: &corev1.ConfigMap{}},
}

// resourceFor returns what an object is one of, nil if the relay has no use for it.
func resourceFor(o runtime.Object) *resource {
	if u, ok := o.(*undecoded); ok {
		return u.resource
	}
	for _, r := range slices.Concat(slices.Collect(maps.Values(resources)), unwatched) {
		if fmt.Sprintf("%T", r.example) == fmt.Sprintf("%T", o) {
			return r
		}
	}
	return nil
}
