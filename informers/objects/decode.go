package objects

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

// Undecoded replaces a monitor that does not decode, so that it can be rejected. An older CRD may have accepted it, for example
// with a field that has another type now.
type Undecoded struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Resource *Resource `json:"-"`
	Err      error     `json:"-"` // names the fields of a wrong type
}

// DeepCopyObject implements runtime.Object.
func (u *Undecoded) DeepCopyObject() runtime.Object {
	c := *u
	u.ObjectMeta.DeepCopyInto(&c.ObjectMeta)
	return &c
}

// newUndecoded reads the metadata of a monitor. It returns nil if that does not decode either.
func newUndecoded(r *Resource, doc []byte, err error) *Undecoded {
	u := &Undecoded{Resource: r}
	if utiljson.Unmarshal(doc, u) != nil || u.Name == "" {
		return nil
	}
	u.Err = err
	if wrong := TypeMismatches(reflect.TypeOf(r.Example).Elem(), doc); len(wrong) > 0 {
		u.Err = errors.New(strings.Join(wrong, "; "))
	}
	return u
}

// LenientDecoder keeps a bad monitor from affecting others. If a list of monitors does not decode as a whole, each of them is
// decoded by itself, and an Undecoded replaces each one that does not decode.
type LenientDecoder struct {
	runtime.Decoder // strict
	// AllowUnknown accepts unknown fields, and notes them on their monitor, for UnknownFields. Without it, the object comes
	// with a StrictDecodingError.
	AllowUnknown bool
}

// Decode implements runtime.Decoder.
func (d LenientDecoder) Decode(doc []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	o, gvk, err := d.Decoder.Decode(doc, defaults, into)
	strict := runtime.IsStrictDecodingError(err)
	if strict && d.AllowUnknown {
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
		if u := newUndecoded(r, doc, err); u != nil {
			return u, gvk, nil
		}
	}
	return o, gvk, err
}

// list decodes the items of a list one by one. It returns nil if the list itself cannot be read. If a list comes with an error,
// that is a StrictDecodingError.
func (d LenientDecoder) list(r *Resource, doc []byte) (runtime.Object, error) {
	var parts struct {
		metav1.ListMeta `json:"metadata"`
		Items           []json.RawMessage `json:"items"`
	}
	if err := utiljson.Unmarshal(doc, &parts); err != nil {
		return nil, err
	}
	out := &metav1.List{ListMeta: parts.ListMeta}
	var strict []error
	gvk := schema.GroupVersionKind{Group: r.Group, Version: r.Version, Kind: string(r.Kind)}
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

// noted notes the unknown fields of a monitor, or of each monitor of a list. It returns the object that has the notes.
func (d LenientDecoder) noted(o runtime.Object, gvk *schema.GroupVersionKind, doc []byte, unknown error, into runtime.Object) runtime.Object {
	if gvk == nil || into != nil {
		return o
	}
	switch r, list := monitorOf(*gvk); {
	case r == nil:
	case list: // its error names the first hundred fields only, so each monitor is decoded again
		if l, _ := d.list(r, doc); l != nil {
			return l
		}
	default:
		noteUnknown(o, unknown)
	}
	return o
}

// monitorOf returns the resource of a kind of monitor, or of a list of them. It returns nil for any other kind.
func monitorOf(gvk schema.GroupVersionKind) (r *Resource, list bool) {
	for _, r := range table {
		if r.Kind == "" || r.Group != gvk.Group || r.Version != gvk.Version {
			continue
		}
		switch gvk.Kind {
		case string(r.Kind):
			return r, false
		case string(r.Kind) + "List":
			return r, true
		}
	}
	return nil, false
}

// LenientSerializer gives clients LenientDecoders.
type LenientSerializer struct{ runtime.NegotiatedSerializer }

// SupportedMediaTypes implements runtime.NegotiatedSerializer. Objects are decoded strictly, the frames of watches are not.
func (s LenientSerializer) SupportedMediaTypes() []runtime.SerializerInfo {
	out := slices.Clone(s.NegotiatedSerializer.SupportedMediaTypes())
	for i := range out {
		if out[i].StrictSerializer != nil {
			out[i].Serializer = out[i].StrictSerializer
		}
	}
	return out
}

// DecoderToVersion implements runtime.NegotiatedSerializer.
func (s LenientSerializer) DecoderToVersion(d runtime.Decoder, v runtime.GroupVersioner) runtime.Decoder {
	return LenientDecoder{s.NegotiatedSerializer.DecoderToVersion(d, v), true}
}
