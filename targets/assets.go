package targets

import (
	"errors"
	"fmt"
)

// Ref is a reference to one key of a Secret or ConfigMap.
type Ref struct {
	ConfigMap bool
	Namespace string
	Name      string
	Key       string
}

// Object returns the reference without its key.
func (r Ref) Object() Ref {
	r.Key = ""
	return r
}

// String names the object and the key.
func (r Ref) String() string {
	kind := "Secret"
	if r.ConfigMap {
		kind = "ConfigMap"
	}
	if r.Key == "" {
		return fmt.Sprintf("%s %s/%s", kind, r.Namespace, r.Name)
	}
	return fmt.Sprintf("%s %s/%s, key %q", kind, r.Namespace, r.Name, r.Key)
}

// Assets returns the values of references. It does not block: a value that was not read yet is ErrPending.
type Assets interface {
	Value(Ref) ([]byte, error)
}

// ErrPending is wrapped by the error about a monitor that waits for a Secret or ConfigMap to be read.
var ErrPending = errors.New("not read yet")

// recorder records which objects a monitor refers to.
type recorder struct {
	assets Assets
	asked  map[Ref]bool // without keys
}

func (r *recorder) Value(ref Ref) ([]byte, error) {
	r.asked[ref.Object()] = true
	v, err := r.assets.Value(ref)
	if err != nil {
		return nil, refError{ref, err}
	}
	return v, nil
}
