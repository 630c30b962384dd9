package targets

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8slabels "k8s.io/apimachinery/pkg/labels"
)

// Unwanted says why a monitor is not selected, and what to change; both are empty if it is. NamespaceLabels are nil if they are not
// known.
func (s *Settings) Unwanted(o Owner, labels, namespaceLabels map[string]string) (why, mend string) {
	sel := s.kinds[o.Kind]
	field := "monitors." + strings.ToLower(string(o.Kind[:1])) + string(o.Kind[1:])
	switch {
	case !sel.objects.Matches(k8slabels.Set(labels)):
		differ, set := lacks(sel.objects, labels)
		why = fmt.Sprintf("its labels do not match %sSelector %q%s", field, sel.objects, differ)
		if set == "" {
			return why, fmt.Sprintf("change %sSelector in the relay's configuration: {} selects all", field)
		}
		return why, fmt.Sprintf("set the label %s on %s, or change %sSelector in the relay's configuration", set, o, field)
	case sel.namespaces == nil && o.Namespace != s.own:
		return fmt.Sprintf("it is not in namespace %q, and no %sNamespaceSelector is given", s.own, field),
			fmt.Sprintf("set %sNamespaceSelector in the relay's configuration: {} selects all namespaces", field)
	case sel.namespaces == nil || sel.namespaces.Empty():
		return "", ""
	case namespaceLabels == nil:
		return fmt.Sprintf("the labels of namespace %s are not known, which %sNamespaceSelector needs", o.Namespace, field),
			"let the relay list and watch namespaces: apply the ClusterRole of deploy/"
	case !sel.namespaces.Matches(k8slabels.Set(namespaceLabels)):
		differ, set := lacks(sel.namespaces, namespaceLabels)
		why = fmt.Sprintf("the labels of namespace %s do not match %sNamespaceSelector %q%s", o.Namespace, field, sel.namespaces, differ)
		if set == "" {
			return why, fmt.Sprintf("change %sNamespaceSelector in the relay's configuration: {} selects all namespaces", field)
		}
		return why, fmt.Sprintf("set the label %s on namespace %s, or change %sNamespaceSelector in the relay's configuration", set, o.Namespace, field)
	}
	return "", ""
}

// lacks says which labels do not meet a selector, and which to set so that they do. Both are empty for a selector that selects
// nothing.
func lacks(sel k8slabels.Selector, has map[string]string) (differ, set string) {
	wants, selectable := sel.Requirements()
	if !selectable {
		return ", which selects nothing", ""
	}
	c := candidate{object: &metav1.ObjectMeta{Labels: has}}
	var sets []string
	for _, r := range wants {
		if !r.Matches(k8slabels.Set(has)) {
			c.differs = append(c.differs, r)
			sets = append(sets, r.String())
		}
	}
	return ": it " + c.has(), strings.Join(sets, ",")
}

// refError is about a Secret or ConfigMap that a monitor refers to.
type refError struct {
	ref Ref
	err error
}

func (e refError) Error() string { return fmt.Sprintf("%s: %v", e.ref, e.err) }

func (e refError) Unwrap() error { return e.err }

// ErrNoObject is the error of Assets about a Secret or ConfigMap that does not exist.
var ErrNoObject = errors.New("there is none of this name")

// NoKeyError is the error of Assets about a Secret or ConfigMap without the key.
type NoKeyError struct{ Keys []string } // those that it has

func (e NoKeyError) Error() string { return fmt.Sprintf("it has no such key, only %q", e.Keys) }

// MendRejected says what to change so that a monitor is accepted that is rejected with an error.
func MendRejected(o Owner, err error) string {
	var ref refError
	var known mendable
	switch {
	case errors.As(err, new(*PanicError)):
		return "please report it, with the stack from the relay's log"
	case errors.As(err, &ref):
		return mendRef(o, ref)
	case errors.As(err, &known):
		return mendField(o, err, &known)
	case errors.As(err, new(*syntax.Error)):
		return "correct the regular expression in " + o.String() + ": it is one of RE2, and a \\ is doubled within double quotes in YAML"
	}
	return mendField(o, err, nil)
}

var fieldName = regexp.MustCompile(`^[a-z][A-Za-z0-9.]*(\[\d+\])?$`)

// fieldPath is the path of the field at the beginning of an error of compiling.
func fieldPath(err error) string {
	var path []string
	for part := range strings.SplitSeq(err.Error(), ": ") {
		if !fieldName.MatchString(part) {
			break
		}
		path = append(path, part)
	}
	return strings.Join(path, ".")
}

func mendRef(o Owner, e refError) string {
	object := e.ref.Object().String()
	kind, name, _ := strings.Cut(object, " ")
	var key NoKeyError
	switch {
	case errors.Is(e.err, ErrPending):
		return ""
	case apierrors.IsForbidden(e.err):
		return "apply the Role promrelay-secrets of deploy/ in namespace " + e.ref.Namespace + ", so that the relay may read " + object
	case errors.As(e.err, &key) && len(key.Keys) == 0:
		return fmt.Sprintf("give %s the key %s: it is empty", object, e.ref.Key)
	case errors.As(e.err, &key):
		one := "name one of its keys"
		if near := nearest(e.ref.Key, key.Keys); near != "" {
			one = "name its key " + near
		}
		return fmt.Sprintf("%s in %s, or give %s the key %s", one, o, object, e.ref.Key)
	case errors.Is(e.err, ErrNoObject):
		return fmt.Sprintf("create the %s %s with the key %s, in the monitor's own namespace, or correct its name in %s", kind, name, e.ref.Key, o)
	}
	return "correct the reference to " + object + " in " + o.String()
}
