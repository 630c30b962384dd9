package informers

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// undecoded stands in the place of a monitor that does not decode, so that it can be rejected: one that an older CRD let
// in, say, with a field that has another type now.
type undecoded struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	resource *resource
	err      error // which fields do not fit
}

// DeepCopyObject implements runtime.Object.
func (u *undecoded) DeepCopyObject() runtime.Object {
	c := *u
	u.ObjectMeta.DeepCopyInto(&c.ObjectMeta)
	return &c
}

// undecode makes the stand-in of a monitor; nil if not even its metadata can be read.
func undecode(r *resource, doc []byte, err error) *undecoded {
	u := &undecoded{resource: r}
	if utiljson.Unmarshal(doc, u) != nil || u.Name == "" {
		return nil
	}
	u.err = err
	if wrong := misfits("", reflect.TypeOf(r.example).Elem(), doc); len(wrong) > 0 {
		u.err = errors.New(strings.Join(wrong, "; "))
	}
	return u
}

// oneByOne decodes the monitors of a list each by itself, where they do not decode together: a single one would cost all
// others of its kind. It puts an undecoded in the place of those that do not decode.
type oneByOne struct {
	runtime.Decoder // strict
	// lenient makes a field that nobody knows no error: it is noted at its monitor.
	lenient bool
}

// Decode implements runtime.Decoder.
func (d oneByOne) Decode(doc []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	o, gvk, err := d.Decoder.Decode(doc, defaults, into)
	strict := runtime.IsStrictDecodingError(err)
	if strict && d.lenient {
		return d.noted(o, gvk, doc, err, into), gvk, nil
	}
	if err == nil || strict || gvk == nil || into != nil {
		return o, gvk, err
	}
	switch r, list := monitorOf(*gvk); {
	case r == nil:
	case list:
		if l, strict := d.list(r, doc); l != nil {
			return l, gvk, strict
		}
	default:
		if u := undecode(r, doc, err); u != nil {
			return u, gvk, nil
		}
	}
	return o, gvk, err
}

// list decodes a list; nil if that cannot be done. The error beside a list is a StrictDecodingError.
func (d oneByOne) list(r *resource, doc []byte) (runtime.Object, error) {
	var parts struct {
		metav1.ListMeta `json:"metadata"`
		Items           []json.RawMessage `json:"items"`
	}
	if err := utiljson.Unmarshal(doc, &parts); err != nil {
		return nil, err
	}
	out := &metav1.List{ListMeta: parts.ListMeta}
	var strict []error
	gvk := schema.GroupVersionKind{Group: r.group, Version: r.version, Kind: string(r.kind)}
	for i, item := range parts.Items {
		o, _, err := d.Decode(item, &gvk, nil)
		if o == nil {
			return nil, err
		}
		if err != nil {
			strict = append(strict, fmt.Errorf("items[%d]: %w", i, err))
		}
		out.Items = append(out.Items, runtime.RawExtension{Object: o})
	}
	if len(strict) > 0 {
		return out, runtime.NewStrictDecodingError(strict)
	}
	return out, nil
}

// noted returns o, or what is better decoded in its place, with the fields noted that nobody knows.
func (d oneByOne) noted(o runtime.Object, gvk *schema.GroupVersionKind, doc []byte, unknown error, into runtime.Object) runtime.Object {
	if gvk == nil || into != nil {
		return o
	}
	switch r, list := monitorOf(*gvk); {
	case r == nil:
	case list: // the error tells of the first hundred fields, and not of all monitors
		if l, _ := d.list(r, doc); l != nil {
			return l
		}
	default:
		noteUnknown(o, unknown)
	}
	return o
}

// monitorOf returns the resource of a kind of monitor, or of a list of them; nil of another kind.
func monitorOf(gvk schema.GroupVersionKind) (r *resource, list bool) {
	for _, r := range resources {
		if r.kind == "" || r.group != gvk.Group || r.version != gvk.Version {
			continue
		}
		switch gvk.Kind {
		case string(r.kind):
			return r, false
		case string(r.kind) + "List":
			return r, true
		}
	}
	return nil, false
}

// oneByOneSerializer gives clients decoders that are oneByOne.
type oneByOneSerializer struct{ runtime.NegotiatedSerializer }

// SupportedMediaTypes implements runtime.NegotiatedSerializer. Objects are decoded strictly, the frames of watches are not.
func (s oneByOneSerializer) SupportedMediaTypes() []runtime.SerializerInfo {
	out := slices.Clone(s.NegotiatedSerializer.SupportedMediaTypes())
	for i := range out {
		if out[i].StrictSerializer != nil {
			out[i].Serializer = out[i].StrictSerializer
		}
	}
	return out
}

// DecoderToVersion implements runtime.NegotiatedSerializer.
func (s oneByOneSerializer) DecoderToVersion(d runtime.Decoder, v runtime.GroupVersioner) runtime.Decoder {
	return oneByOne{s.NegotiatedSerializer.DecoderToVersion(d, v), true}
}
