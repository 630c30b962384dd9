package informers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"go.uber.org/zap"
	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	yamljson "sigs.k8s.io/yaml"

	"promrelay/targets"
)

// document is one of a file's documents, or an item of a list in one.
type document struct {
	m    *Manifests
	file *manifest // that takes what is found
	text []byte    // YAML, with so many empty lines before it that lines are those of the file
	path string    // of an item in the text
}

// decodeAlone is decode, of which a panic costs one file.
func (m *Manifests) decodeAlone(path string, text []byte) (f manifest) {
	defer func() {
		if p := recover(); p != nil {
			f = manifest{text: text}
			f.lose(fmt.Errorf("panic: %v", p))
			m.log.Error("a manifest caused a panic", zap.String("file", path), zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
		}
	}()
	return m.decode(text)
}

// decode reads the documents of a file.
func (m *Manifests) decode(text []byte) manifest {
	f := manifest{text: text, unknown: map[string][]string{}, seen: map[string]bool{}}
	var doc []byte
	end := func() {
		d := document{m: m, file: &f, text: doc}
		js, err := d.json()
		if err != nil {
			f.lose(err)
			return
		}
		if s := string(bytes.TrimSpace(js)); s != "" && s != "null" {
			d.read(js, nil)
		}
	}
	for line := range bytes.Lines(text) {
		if rest, ok := divides(line); ok {
			end()
			doc = bytes.Repeat([]byte("\n"), bytes.Count(doc, []byte("\n"))) // so that errors tell the line in the file
			doc = append(doc, rest...)
			continue
		}
		doc = append(doc, line...)
	}
	end()
	return f
}

// json is the document as JSON, of which a doubled key is noted.
func (d document) json() ([]byte, error) {
	if json.Valid(d.text) {
		return d.text, nil // a strict decoder tells of doubled keys
	}
	if js, err := yamljson.YAMLToJSONStrict(d.text); err == nil {
		return js, nil
	}
	js, err := yamljson.YAMLToJSON(d.text)
	var root yaml.Node
	if err == nil && yaml.Unmarshal(d.text, &root) == nil {
		d.doubled(&root)
	}
	return js, err
}

// doubled notes the keys that stand twice in one object.
func (d document) doubled(n *yaml.Node) {
	lines := map[string]int{}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			if first := lines[child.Value]; first > 0 {
				d.file.errs = append(d.file.errs, fmt.Errorf("line %d: the key %q stands in line %d too: that of line %d counts", child.Line, child.Value, first, child.Line))
			}
			lines[child.Value] = child.Line
		}
		d.doubled(child)
	}
}

// divides tells whether a line begins a document, or ends one (`...`). It returns what stands in it of the next one.
func divides(line []byte) (rest []byte, ok bool) {
	if rest, ok := bytes.CutPrefix(line, []byte("---")); ok {
		return rest, true
	}
	rest, ok = bytes.CutPrefix(line, []byte("..."))
	return rest, ok && (len(rest) == 0 || strings.ContainsRune(" \t\r\n", rune(rest[0])))
}

// lose notes what is wrong with an object that is not there for it.
func (f *manifest) lose(err error) { f.errs, f.lost = append(f.errs, err), true }

// read takes in an object, or those of a list. Usual is the kind of one that tells none, as in a list; nil for none.
func (d document) read(js []byte, usual *schema.GroupVersionKind) {
	if d.list(js) {
		return
	}
	if json.Unmarshal(js, &metav1.TypeMeta{}) != nil {
		d.file.lose(errors.New(d.at("") + "want an object of Kubernetes, with apiVersion and kind"))
		return
	}
	o, gvk, err := d.m.json.Decode(js, usual, nil)
	switch {
	case runtime.IsNotRegisteredError(err):
		if why := passedOver(gvk, js); why != "" {
			d.file.errs = append(d.file.errs, errors.New(d.at("kind")+why))
		}
	case runtime.IsMissingKind(err) || runtime.IsMissingVersion(err):
		d.file.lose(errors.New(d.at("") + "an object without kind or apiVersion"))
	case err != nil && !runtime.IsStrictDecodingError(err):
		d.file.lose(d.explain(gvk, js, err))
	default:
		d.take(o, err)
	}
}

// list takes in the objects of a list one by one; false if it is none.
func (d document) list(js []byte) bool {
	var l struct {
		metav1.TypeMeta `json:",inline"`
		Items           []json.RawMessage `json:"items"`
	}
	if json.Unmarshal(js, &l) != nil || !strings.HasSuffix(l.Kind, "List") || l.Items == nil {
		return false
	}
	var usual *schema.GroupVersionKind
	if kind := strings.TrimSuffix(l.Kind, "List"); kind != "" {
		gvk := schema.FromAPIVersionAndKind(l.APIVersion, kind)
		usual = &gvk
	}
	for i, item := range l.Items {
		document{d.m, d.file, d.text, fmt.Sprintf("%sitems[%d].", d.path, i)}.read(item, usual)
	}
	return true
}

// take takes in an object, and sets what the API server would have set. The error is of its fields that nobody knows.
func (d document) take(o runtime.Object, unknown error) {
	obj, err := meta.Accessor(o)
	if err != nil {
		d.file.lose(err)
		return
	}
	r := resourceFor(o)
	if r != nil && !r.unspaced && obj.GetNamespace() == "" {
		obj.SetNamespace("default")
	}
	if p, ok := o.(*monitoringv1.Probe); ok && p.Spec.ProberSpec.Path == "" {
		p.Spec.ProberSpec.Path = "/probe" // the default of the CRD
	}
	name := d.kind(o) + " " + namespacedKey(obj)
	if u, ok := o.(*undecoded); ok { // it is rejected as a monitor, too
		d.file.errs = append(d.file.errs, fmt.Errorf("%s%s: %w", d.at(firstPath(u.err.Error())), name, u.err))
	}
	if obj.GetName() == "" {
		d.file.lose(fmt.Errorf("%s%s: metadata.name is missing", d.at("metadata"), d.kind(o)))
		return
	}
	fields := d.unknownFields(unknown)
	for _, why := range fields {
		line, what, _ := strings.Cut(why, ": ")
		d.file.errs = append(d.file.errs, fmt.Errorf("%s: %s: %s", line, name, what))
	}
	if r != nil {
		id := r.name + " " + namespacedKey(obj)
		if d.file.seen[id] {
			d.file.errs = append(d.file.errs, fmt.Errorf("%s%s stands further up in this file too: this one counts", d.at("metadata"), name))
		}
		d.file.seen[id] = true
		if delete(d.file.unknown, id); len(fields) > 0 {
			d.file.unknown[id] = fields
		}
	}
	d.file.objects = append(d.file.objects, o)
}

// kind is the kind of an object.
func (d document) kind(o runtime.Object) string {
	if u, ok := o.(*undecoded); ok {
		return string(u.resource.kind)
	}
	return reflect.TypeOf(o).Elem().Name()
}

var quotedPath = regexp.MustCompile(`"([^"]*)"`)

// unknownFields says which fields nobody knows, each with its line.
func (d document) unknownFields(err error) (out []string) {
	strict, ok := runtime.AsStrictDecodingError(err)
	if !ok {
		return nil
	}
	for _, e := range strict.Errors() {
		path := ""
		if m := quotedPath.FindStringSubmatch(e.Error()); m != nil {
			path = m[1]
		}
		at := d.at(path)
		if at == "" {
			at = "line ?: "
		}
		out = append(out, at+e.Error())
	}
	return out
}

// explain names an object that does not decode, with the fields that do not fit. Values are not told: they may be secret.
func (d document) explain(gvk *schema.GroupVersionKind, js []byte, err error) error {
	var of struct {
		Metadata metav1.ObjectMeta `json:"metadata"`
	}
	_ = json.Unmarshal(js, &of) // what cannot be read is not told
	if gvk == nil {
		return errors.New(d.at("") + err.Error())
	}
	name := gvk.Kind + " " + namespacedKey(&of.Metadata)
	example, newErr := d.m.scheme.New(*gvk)
	if newErr != nil {
		return fmt.Errorf("%s%s: %w", d.at(""), name, err)
	}
	wrong := misfits("", reflect.TypeOf(example).Elem(), js)
	if len(wrong) == 0 {
		return fmt.Errorf("%s%s: %w", d.at(""), name, err)
	}
	return errors.New(d.at(firstPath(wrong[0])) + name + ": " + strings.Join(wrong, "; "))
}

// firstPath is the path at which a message begins.
func firstPath(message string) string {
	path, _, _ := strings.Cut(message, ": ")
	return path
}

// passedOver says what is wrong with an object that the relay has no use for, if it looks like a monitor; empty if it does not.
func passedOver(gvk *schema.GroupVersionKind, js []byte) string {
	if gvk == nil {
		return ""
	}
	of := metav1.PartialObjectMetadata{}
	_ = json.Unmarshal(js, &of)
	name := fmt.Sprintf("%s %s %s: ", gvk.GroupVersion(), gvk.Kind, namespacedKey(&of))
	r := monitorResource(targets.Kind(gvk.Kind))
	switch {
	case r != nil && r.kind == targets.Kind(gvk.Kind) && (r.kind != targets.Probe || gvk.Group == "" || strings.Contains(gvk.Group, "coreos")): // others have Probes, too
		return name + "it is passed over, since the relay reads this kind as apiVersion " + r.groupVersion()
	case gvk.Group == monitoringGroup:
		var known []string
		for _, k := range targets.Kinds {
			known = append(known, string(k))
		}
		slices.Sort(known)
		return name + "it is passed over, for there is no such kind and version: the relay reads " + strings.Join(known, ", ")
	}
	return ""
}

// at says in which line a field stands, with what goes behind it; empty if that cannot be found.
func (d document) at(path string) string {
	var root yaml.Node
	if err := yaml.Unmarshal(d.text, &root); err != nil || len(root.Content) == 0 {
		return ""
	}
	if line := lineOf(root.Content[0], d.path+path); line > 0 {
		return fmt.Sprintf("line %d: ", line)
	}
	return ""
}

// lineOf follows a path, such as spec.ports[0].port, as far as it leads.
func lineOf(n *yaml.Node, path string) int {
	path = strings.TrimPrefix(path, ".")
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch n.Kind {
	case yaml.MappingNode:
		best, next := "", 0
		for i := 0; i+1 < len(n.Content); i += 2 { // names may have dots in them: the longest one counts
			key := n.Content[i].Value
			rest, ok := strings.CutPrefix(path, key)
			if ok && (rest == "" || rest[0] == '.' || rest[0] == '[') && len(key) >= len(best) && path != "" {
				best, next = key, i+1
			}
		}
		if next > 0 && path == best {
			return n.Content[next-1].Line
		}
		if next > 0 {
			return lineOf(n.Content[next], path[len(best):])
		}
	case yaml.SequenceNode:
		var i int
		if _, err := fmt.Sscanf(path, "[%d]", &i); err == nil && i >= 0 && i < len(n.Content) {
			return lineOf(n.Content[i], path[strings.IndexByte(path, ']')+1:])
		}
	}
	return n.Line
}
