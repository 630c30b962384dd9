package manifests

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"

	"promrelay/informers/files"
	"promrelay/informers/objects"
)

// Stdin is the path that stands for the standard input.
const Stdin = "-"

// TreeOptions say what to read.
type TreeOptions struct {
	Paths     []string // of files and directories; Stdin for Input
	Input     io.Reader
	Namespace string // of objects that name none; empty means default
	// Progress is called after each file. It may be nil.
	Progress func(done, total int)
}

// Tree holds the objects of files and directories. It reads them once, and knows where each object stands. It is a source of objects,
// as Directory is.
type Tree struct {
	*memoryAPI
	found     []Found
	at        map[string]int // index of the object that counts, by resource and key
	problems  []Problem
	namespace string
	paths     []string
}

// Found is an object and its place.
type Found struct {
	Object runtime.Object
	Path   string // of the file
	place  document
	root   *yaml.Node // of the document; nil before it is parsed
}

// ReadTree reads files and directories. It returns an error if one of the paths does not exist, or holds no manifests.
func ReadTree(o TreeOptions) (*Tree, error) {
	if o.Namespace == "" {
		o.Namespace = defaultNamespace
	}
	c, err := newDecoder(o.Namespace, nil)
	if err != nil {
		return nil, err
	}
	t := &Tree{memoryAPI: newMemoryAPI(), at: map[string]int{}, namespace: o.Namespace}
	if err := t.list(o.Paths); err != nil {
		return nil, err
	}
	for i, path := range t.paths {
		t.add(path, c.readFile(path, o.Input))
		if o.Progress != nil {
			o.Progress(i+1, len(t.paths))
		}
	}
	t.publish()
	return t, nil
}

// list finds the files, each once.
func (t *Tree) list(roots []string) error {
	seen := map[string]bool{} // files without links
	for _, root := range roots {
		l := &listing{}
		info, err := os.Stat(root)
		switch {
		case root == Stdin:
			l.paths = []string{root}
		case err != nil:
			return fmt.Errorf("%w; want a file or directory with manifests", err)
		case !info.IsDir():
			l.paths = []string{root}
		default:
			if err := l.walk(root); err != nil {
				return err
			}
			slices.Sort(l.paths)
		}
		if len(l.paths) == 0 {
			return fmt.Errorf("%s holds no file whose name ends in .yaml, .yml or .json", root)
		}
		for _, p := range l.problems {
			t.problems = append(t.problems, Problem{Path: root, Rule: SkippedPath, Text: p})
		}
		for _, path := range l.paths {
			own, err := filepath.EvalSymlinks(path)
			if err != nil {
				own = path
			}
			if !seen[own] {
				t.paths = append(t.paths, path)
			}
			seen[own] = true
		}
	}
	return nil
}

// readFile reads one file. What is wrong with it is in the result.
func (c *decoder) readFile(path string, input io.Reader) manifest {
	var text []byte
	var err error
	if path == Stdin {
		text, err = io.ReadAll(io.LimitReader(input, maxManifest+1))
		if err == nil && len(text) > maxManifest {
			err = fmt.Errorf("it holds more than %d bytes", maxManifest)
		}
	} else {
		text, err = files.ReadRegular(path, maxManifest)
	}
	if err != nil {
		return manifest{errs: []error{err}, lost: true}
	}
	return c.decodeGuarded(path, text)
}

// add adds the content of a file. If two objects have the same name, the later one counts.
func (t *Tree) add(path string, f manifest) {
	for _, err := range f.errs {
		t.problems = append(t.problems, problemIn(path, err))
	}
	for i, o := range f.objects {
		obj, err := meta.Accessor(o)
		if err != nil {
			continue
		}
		id := fmt.Sprintf("%T %s", o, objects.Key(obj))
		if r := objects.Of(o); r != nil {
			id = r.Name + " " + objects.Key(obj)
		}
		if first, ok := t.at[id]; ok {
			if other := t.found[first].Path; other != path { // decode notes those of one file
				t.problems = append(t.problems, Problem{
					Path: path, Line: f.places[i].line("metadata"), Rule: DoubledObject,
					Text: fmt.Sprintf("%s is in %s too: the one in %s counts", shown(kindOf(o), obj), other, path),
				})
			}
			t.found[first].Object = nil
		}
		t.at[id] = len(t.found)
		t.found = append(t.found, Found{Object: o, Path: path, place: f.places[i]})
	}
}

// publish serves the objects.
func (t *Tree) publish() {
	t.found = slices.DeleteFunc(t.found, func(f Found) bool { return f.Object == nil })
	t.at = map[string]int{}
	all := map[string]map[string]runtime.Object{}
	for i, f := range t.found {
		r := objects.Of(f.Object)
		obj, err := meta.Accessor(f.Object)
		if r == nil || err != nil {
			continue
		}
		if all[r.Name] == nil {
			all[r.Name] = map[string]runtime.Object{}
		}
		all[r.Name][objects.Key(obj)] = f.Object
		t.at[r.Name+" "+objects.Key(obj)] = i
	}
	for _, r := range objects.All() {
		t.replace(r, all[r.Name])
	}
}

// Add serves more objects beside those of the files. One with the name of an object that is there takes its place.
func (t *Tree) Add(more []runtime.Object) {
	all := map[*objects.Resource]map[string]runtime.Object{}
	for _, o := range more {
		r := objects.Of(o)
		obj, err := meta.Accessor(o)
		if r == nil || err != nil {
			continue
		}
		if all[r] == nil {
			all[r] = t.all(r.Name)
		}
		all[r][objects.Key(obj)] = o
	}
	for r, by := range all {
		t.replace(r, by)
	}
}

// Objects returns the objects of the files, in the order of files and lines. The slice is the caller's.
func (t *Tree) Objects() []Found { return slices.Clone(t.found) }

// Files returns the number of files.
func (t *Tree) Files() int { return len(t.paths) }

// Problems returns what is wrong with the files.
func (t *Tree) Problems() []Problem { return t.problems }

// Find returns an object of the files and its place; false if there is none.
func (t *Tree) Find(r *objects.Resource, key string) (*Found, bool) {
	i, ok := t.at[r.Name+" "+key]
	if !ok {
		return nil, false
	}
	return &t.found[i], true
}

// Line returns the line of a field, such as spec.endpoints[0].port, and whether the field is there. If it is not, the line is that of the
// nearest one above it.
func (f *Found) Line(field string) (line int, there bool) {
	if f.root == nil {
		f.root = &yaml.Node{}
		_ = yaml.Unmarshal(f.place.text, f.root) // it was decoded before
	}
	if len(f.root.Content) == 0 {
		return 0, false
	}
	line, there = lineOf(f.root.Content[0], f.place.path+field)
	return line + f.place.before, there
}

// Templated reports whether the object's document has the braces of a template.
func (f *Found) Templated() bool { return f.place.templated() }

// Run does nothing: the files are read once.
func (t *Tree) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Report does nothing: there are no Events of files.
func (t *Tree) Report(corev1.ObjectReference, objects.Event) {}

// Namespaces returns none, which means all, and that of objects which name none.
func (t *Tree) Namespaces() ([]string, string) { return nil, t.namespace }

// UnknownFields returns nothing: Problems has them.
func (t *Tree) UnknownFields(*objects.Resource, string) []string { return nil }
