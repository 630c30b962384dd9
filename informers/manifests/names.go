package manifests

import (
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"promrelay/informers/objects"
)

// badName says which name of an object an API server would refuse, and why. It returns the field, and an empty reason if the name is
// valid.
func badName(r *objects.Resource, o metav1.Object) (field, reason string) {
	valid := validation.NameIsDNSSubdomain
	if r.Name == "services" || r.Name == "namespaces" {
		valid = validation.NameIsDNSLabel // API servers may still want a Service's name to begin with a letter; newer ones do not
	}
	field = "metadata.name"
	wrong, name := valid(o.GetName(), false), o.GetName()
	if len(wrong) == 0 && !r.ClusterScoped {
		field, name = "metadata.namespace", o.GetNamespace()
		wrong = validation.ValidateNamespaceName(name, false)
	}
	if len(wrong) == 0 {
		return "", ""
	}
	return field, fmt.Sprintf("%s %q is not valid, the object is left out: %s", field, name, strings.Join(wrong, "; "))
}

// shown returns the kind, namespace and name of an object for messages. It quotes names that could garble a terminal or a log.
func shown(kind string, o metav1.Object) string {
	key := objects.Key(o)
	if strings.ContainsFunc(key, func(r rune) bool { return !strconv.IsPrint(r) }) {
		key = strconv.Quote(key)
	}
	return kind + " " + key
}
