package manifests

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
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

	"promrelay/informers/guard"
	"promrelay/informers/objects"
	"promrelay/targets"
)

// document is one document of a file, or an item of a list in it.
type document struct {
	*decoder
	file   *manifest // gets the results
	text   []byte    // YAML or JSON
	before int       // lines of the file before the text
	path   string    // of an item in the text
}

// decodeGuarded is decode. A panic in it affects only this file.
func (c *decoder) decodeGuarded(path string, text []byte) (f manifest) {
	var uncounted *guard.Guard
	err := uncounted.Call(guard.Handler, path, func() { f = c.decode(text) })
	if p := (*targets.PanicError)(nil); errors.As(err, &p) {
		f = manifest{text: text}
		f.lose(p)
		c.log.Error("a manifest caused a panic", zap.String("file", path), zap.Any("panic", p.Value), zap.ByteString("stack", p.Stack))
	}
	return f
}

// decode reads the documents of a file.
func (c *decoder) decode(text []byte) manifest {
	f := manifest{text: text, unknown: map[string][]string{}, seen: map[string]bool{}}
	begin, before, at, lines := 0, 0, 0, 0 // of the document; of the line
	for line := range bytes.Lines(text) {
		if rest, ok := divides(line); ok {
			document{decoder: c, file: &f, text: text[begin:at], before: before}.readAll()
			begin, before = at+len(line)-len(rest), lines
		}
		at, lines = at+len(line), lines+1
	}
	document{decoder: c, file: &f, text: text[begin:], before: before}.readAll()
	return f
}

// templated reports whether the document has the braces of a template.
func (d document) templated() bool { return bytes.Contains(d.text, []byte("{{")) }

// readAll adds the objects of a document.
func (d document) readAll() {
	js, err := d.json()
	if err != nil {
		p := syntaxProblem(err, d.before)
		switch {
		case d.templated():
			p.Rule = Template
		case !bytes.Contains(d.text, []byte("apiVersion")):
			p.Rule = NoManifest
		}
		d.file.lose(p)
		return
	}
	if s := string(bytes.TrimSpace(js)); s != "" && s != "null" {
		d.read(js, nil)
	}
}

// json returns the document as JSON. It notes duplicate keys.
func (d document) json() ([]byte, error) {
	if json.Valid(d.text) {
		return d.text, nil // the strict decoder reports duplicate keys
	}
	if js, err := yamljson.YAMLToJSONStrict(d.text); err == nil {
		return js, nil
	}
	js, err := yamljson.YAMLToJSON(d.text)
	var root yaml.Node
	if err == nil && yaml.Unmarshal(d.text, &root) == nil {
		d.noteDuplicates(&root)
	}
	return js, err
}

// noteDuplicates notes the keys that an object has twice.
func (d document) noteDuplicates(n *yaml.Node) {
	lines := map[string]int{}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			if first := lines[child.Value]; first > 0 {
				d.file.errs = append(d.file.errs, Problem{Line: child.Line + d.before, Rule: DuplicateKey, Text: fmt.Sprintf("the key %q is in line %d too: the one in line %d counts", child.Value, first+d.before, child.Line+d.before)})
			}
			lines[child.Value] = child.Line
		}
		d.noteDuplicates(child)
	}
}

// divides reports whether a line begins a document, or ends one (`...`). It returns the part of the line that belongs to the next
// document.
func divides(line []byte) (rest []byte, ok bool) {
	if rest, ok := bytes.CutPrefix(line, []byte("---")); ok {
		return rest, true
	}
	rest, ok = bytes.CutPrefix(line, []byte("..."))
	return rest, ok && (len(rest) == 0 || strings.ContainsRune(" \t\r\n", rune(rest[0])))
}

// lose notes an error that makes an object missing.
func (f *manifest) lose(err error) { f.errs, f.lost = append(f.errs, err), true }

// read adds an object, or those of a list. An object without a kind, as in a list, is of the default kind; nil means there is none.
func (d document) read(js []byte, defaults *schema.GroupVersionKind) {
	if d.list(js) {
		return
	}
	var of metav1.TypeMeta
	if json.Unmarshal(js, &of) != nil {
		d.file.lose(d.problem(NoManifest, "", "want an object of Kubernetes, with apiVersion and kind"))
		return
	}
	o, gvk, err := d.reader.Decode(js, defaults, nil)
	switch {
	case runtime.IsNotRegisteredError(err):
		if why := ignored(gvk, js); why != "" {
			d.file.errs = append(d.file.errs, d.problem(IgnoredKind, "kind", why))
		}
	case runtime.IsMissingKind(err) || runtime.IsMissingVersion(err):
		rule := NoObject
		if of.Kind == "" && !bytes.Contains(js, []byte(`"metadata"`)) { // values, or a chart
			rule = NoManifest
		}
		d.file.lose(d.problem(rule, "", "an object without kind or apiVersion"))
	case err != nil && !runtime.IsStrictDecodingError(err):
		d.file.lose(d.explain(gvk, js, err))
	default:
		d.add(o, err)
	}
}

// list adds the objects of a list one by one. It returns false if the document is not a list.
func (d document) list(js []byte) bool {
	var l struct {
		metav1.TypeMeta `json:",inline"`
		Items           []json.RawMessage `json:"items"`
	}
	if json.Unmarshal(js, &l) != nil || !strings.HasSuffix(l.Kind, "List") || l.Items == nil {
		return false
	}
	var defaults *schema.GroupVersionKind
	if kind := strings.TrimSuffix(l.Kind, "List"); kind != "" {
		gvk := schema.FromAPIVersionAndKind(l.APIVersion, kind)
		defaults = &gvk
	}
	for i, item := range l.Items {
		inner := d
		inner.path = fmt.Sprintf("%sitems[%d].", d.path, i)
		inner.read(item, defaults)
	}
	return true
}

// add adds an object, and sets what an API server would have set. The error names its unknown fields.
func (d document) add(o runtime.Object, unknown error) {
	obj, err := meta.Accessor(o)
	if err != nil {
		d.file.lose(err)
		return
	}
	r := objects.Of(o)
	switch {
	case r != nil && r.ClusterScoped:
		obj.SetNamespace("")
	case obj.GetNamespace() == "":
		obj.SetNamespace(d.namespace)
	}
	if p, ok := o.(*monitoringv1.Probe); ok && p.Spec.ProberSpec.Path == "" {
		p.Spec.ProberSpec.Path = "/probe" // the default of the CRD
	}
	name := shown(kindOf(o), obj)
	if obj.GetName() == "" {
		rule := BadName
		if obj.GetGenerateName() != "" {
			rule = NoManifest
		}
		d.file.lose(d.problem(rule, "metadata", kindOf(o)+": metadata.name is missing"))
		return
	}
	if r != nil {
		if field, reason := badName(r, obj); reason != "" {
			d.file.lose(d.problem(BadName, field, name+": "+reason))
			return
		}
	}
	if u, ok := o.(*objects.Undecoded); ok { // the monitor is rejected as well
		d.file.errs = append(d.file.errs, d.problem(WrongType, firstPath(u.Err.Error()), name+": "+u.Err.Error()))
	}
	fields := d.unknownFields(o, unknown)
	for _, p := range fields {
		p.Text = name + ": " + p.Text
		d.file.errs = append(d.file.errs, p)
	}
	if r != nil {
		id := r.Name + " " + objects.Key(obj)
		if d.file.seen[id] {
			d.file.errs = append(d.file.errs, d.problem(DoubledObject, "metadata", name+" is further up in this file too: this one counts"))
		}
		d.file.seen[id] = true
		delete(d.file.unknown, id)
		for _, p := range fields {
			d.file.unknown[id] = append(d.file.unknown[id], p.Error())
		}
	}
	d.file.objects, d.file.places = append(d.file.objects, o), append(d.file.places, d)
}

// kindOf returns the kind of an object.
func kindOf(o runtime.Object) string {
	if u, ok := o.(*objects.Undecoded); ok {
		return string(u.Resource.Kind)
	}
	return reflect.TypeOf(o).Elem().Name()
}

// unknownFields returns a problem for each unknown field.
func (d document) unknownFields(o runtime.Object, err error) (out []Problem) {
	strict, ok := runtime.AsStrictDecodingError(err)
	if !ok {
		return nil
	}
	for _, e := range strict.Errors() {
		rule := UnknownField
		if strings.Contains(e.Error(), "duplicate field") {
			rule = DuplicateKey
		}
		out = append(out, d.problem(rule, objects.FieldPath(e), e.Error()+objects.SuggestField(o, e)))
	}
	return out
}

// explain names an object that does not decode, and its fields of a wrong type. It names no values: they may be secret.
func (d document) explain(gvk *schema.GroupVersionKind, js []byte, err error) error {
	var of struct {
		Metadata metav1.ObjectMeta `json:"metadata"`
	}
	_ = json.Unmarshal(js, &of) // a name that cannot be read is left out
	if gvk == nil {
		return d.problem(NoObject, "", err.Error())
	}
	name := shown(gvk.Kind, &of.Metadata)
	example, newErr := d.scheme.New(*gvk)
	if newErr != nil {
		return d.problem(WrongType, "", name+": "+err.Error())
	}
	wrong := objects.TypeMismatches(reflect.TypeOf(example).Elem(), js)
	if len(wrong) == 0 {
		return d.problem(WrongType, "", name+": "+err.Error())
	}
	return d.problem(WrongType, firstPath(wrong[0]), name+": "+strings.Join(wrong, "; "))
}

// ignored says why an object that looks like a monitor is ignored. It returns an empty string for any other object.
func ignored(gvk *schema.GroupVersionKind, js []byte) string {
	if gvk == nil {
		return ""
	}
	of := metav1.PartialObjectMetadata{}
	_ = json.Unmarshal(js, &of)
	name := fmt.Sprintf("%s %s %s: ", gvk.GroupVersion(), gvk.Kind, objects.Key(&of))
	r := objects.OfKind(targets.Kind(gvk.Kind))
	switch {
	case r != nil && r.Kind == targets.Kind(gvk.Kind) && (r.Kind != targets.Probe || gvk.Group == "" || strings.Contains(gvk.Group, "coreos")): // other projects have a kind Probe, too
		return name + "it is ignored, the relay reads this kind as apiVersion " + r.GroupVersion()
	case gvk.Group == objects.MonitoringGroup:
		var known []string
		for _, k := range targets.Kinds {
			known = append(known, string(k))
		}
		slices.Sort(known)
		return name + "it is ignored, there is no such kind and version: the relay reads " + strings.Join(known, ", ")
	}
	return ""
}
