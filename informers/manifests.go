package informers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus-operator/prometheus-operator/pkg/client/versioned/scheme"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
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

	mu       sync.Mutex
	files    map[string]manifest
	problems []string
}

// manifest is what stands in one file.
type manifest struct {
	text    []byte
	objects []runtime.Object
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
		shelf: newShelf(), dir: dir, log: log, files: map[string]manifest{},
		json: oneByOne{json.NewSerializerWithOptions(json.DefaultMetaFactory, s, s, json.SerializerOptions{Strict: true})},
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
		m.follow(w)
		m.reread()
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
			continue
		case err := <-w.Errors:
			m.log.Warn("watch of the directory is interrupted", zap.Error(err))
			continue
		case <-w.Events:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(settleFor):
		}
		for len(w.Events) > 0 {
			<-w.Events
		}
	}
}

// follow watches the directory and those in it.
func (m *Manifests) follow(w *fsnotify.Watcher) {
	have := w.WatchList()
	_ = filepath.WalkDir(m.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && !slices.Contains(have, path) {
			if err := w.Add(path); err != nil {
				m.log.Debug("not watched, only read from time to time", zap.String("directory", path), zap.Error(err))
			}
		}
		return nil
	})
}

// reread reads the directory now.
func (m *Manifests) reread() {
	paths, problems := m.list()
	files := map[string]manifest{}
	news := len(paths) != len(m.files)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		old, known := m.files[path]
		if known && err == nil && bytes.Equal(old.text, text) {
			files[path] = old
			continue
		}
		news = true
		f := manifest{errs: []error{err}, lost: true}
		if err == nil {
			f = m.decode(text)
		}
		if f.lost {
			f.objects = append(slices.Clone(old.objects), f.objects...) // the later one counts
		}
		files[path] = f
	}
	if news {
		problems = append(problems, m.publish(paths, files)...)
		m.setProblems(problems)
	}
	m.files = files
}

// list returns the paths of the files, in order.
func (m *Manifests) list() (paths, problems []string) {
	err := filepath.WalkDir(m.dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			problems = append(problems, err.Error())
		case strings.HasPrefix(d.Name(), ".") && path != m.dir: // ..data of a mounted ConfigMap, and what editors leave
			if d.IsDir() {
				return fs.SkipDir
			}
		case !d.IsDir() && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)):
			paths = append(paths, path)
		}
		return nil
	})
	if err != nil {
		problems = append(problems, err.Error())
	}
	return paths, problems
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
				problems = append(problems, fmt.Sprintf("%s: %s %s stands in %s too", path, r.name, key, first))
			}
			from[r.name+" "+key] = path
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

// decode reads the documents of a file.
func (m *Manifests) decode(text []byte) manifest {
	f := manifest{text: text}
	var doc []byte
	end := func() {
		objects, err := m.object(doc)
		if err != nil {
			f.errs = append(f.errs, err)
			f.lost = f.lost || !runtime.IsStrictDecodingError(err)
		}
		f.objects = append(f.objects, objects...)
	}
	for line := range bytes.Lines(text) {
		if bytes.HasPrefix(line, []byte("---")) {
			end()
			doc = bytes.Repeat([]byte("\n"), bytes.Count(doc, []byte("\n"))) // so that errors tell the line in the file
			doc = append(doc, bytes.TrimPrefix(line, []byte("---"))...)
			continue
		}
		doc = append(doc, line...)
	}
	end()
	return f
}

// object reads one document, which may be a list. The error is a StrictDecodingError if nothing is lost but fields that nobody knows.
func (m *Manifests) object(doc []byte) ([]runtime.Object, error) {
	js, err := utilyaml.ToJSON(doc)
	if err != nil {
		return nil, err
	}
	if s := string(bytes.TrimSpace(js)); s == "" || s == "null" {
		return nil, nil
	}
	o, _, err := m.json.Decode(js, nil, nil)
	switch {
	case runtime.IsNotRegisteredError(err):
		return nil, nil
	case runtime.IsMissingKind(err) || runtime.IsMissingVersion(err):
		return nil, errors.New("an object without kind or apiVersion")
	case err != nil && !runtime.IsStrictDecodingError(err):
		return nil, err
	}
	if !meta.IsListType(o) {
		return []runtime.Object{o}, complete(o, err)
	}
	items, extractErr := meta.ExtractList(o)
	errs := []error{err, extractErr}
	var out []runtime.Object
	for _, item := range items {
		if raw, ok := item.(*runtime.Unknown); ok {
			os, err := m.object(raw.Raw)
			out, errs = append(out, os...), append(errs, err)
			continue
		}
		out, errs = append(out, item), append(errs, complete(item, nil))
	}
	return out, errors.Join(errs...)
}

// complete sets what the API server would have set, and names the object in the error about it.
func complete(o runtime.Object, err error) error {
	obj, metaErr := meta.Accessor(o)
	if metaErr != nil {
		return metaErr
	}
	if r := resourceFor(o); r != nil && !r.unspaced && obj.GetNamespace() == "" {
		obj.SetNamespace("default")
	}
	if p, ok := o.(*monitoringv1.Probe); ok && p.Spec.ProberSpec.Path == "" {
		p.Spec.ProberSpec.Path = "/probe" // the default of the CRD
	}
	u, ok := o.(*undecoded)
	switch {
	case ok: // it is rejected as a monitor, too
		return runtime.NewStrictDecodingError([]error{fmt.Errorf("%s %s: %w", u.resource.kind, namespacedKey(u), u.err)})
	case err != nil:
		return runtime.NewStrictDecodingError([]error{fmt.Errorf("%T %s: %w", o, namespacedKey(obj), err)})
	case obj.GetName() == "":
		return fmt.Errorf("%T: metadata.name is missing", o)
	}
	return nil
}
