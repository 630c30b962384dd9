package objects

import (
	"fmt"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
)

// unknownAnnotation holds the unknown fields of a monitor from an API server, one a line. Such fields come from a CRD that is
// newer than the relay, or that accepts anything. The API server accepts no name with spaces, so nobody else uses it.
const unknownAnnotation = "unknown fields"

// maxUnknownFields is how many unknown fields of a monitor are named.
const maxUnknownFields = 10

var quotedPath = regexp.MustCompile(`"([^"]*)"`)

// FieldPath returns the path of the field that an error of a strict decoder is about, empty if it names none.
func FieldPath(err error) string {
	if m := quotedPath.FindStringSubmatch(err.Error()); m != nil {
		return m[1]
	}
	return ""
}

// noteUnknown notes the unknown fields of a monitor's spec. Unknown fields elsewhere come from a newer API server, and do not
// matter for what is scraped.
func noteUnknown(o runtime.Object, err error) {
	m, metaErr := meta.Accessor(o)
	strict, ok := runtime.AsStrictDecodingError(err)
	if metaErr != nil || !ok {
		return
	}
	var lines []string
	for _, e := range strict.Errors() {
		if path := FieldPath(e); path == "spec" || strings.HasPrefix(path, "spec.") {
			lines = append(lines, e.Error()+SuggestField(o, e))
		}
	}
	if more := len(lines) - maxUnknownFields; more > 0 {
		lines = append(lines[:maxUnknownFields], fmt.Sprintf("and %d more", more))
	}
	if len(lines) == 0 {
		return
	}
	all := m.GetAnnotations()
	if all == nil {
		all = map[string]string{}
	}
	all[unknownAnnotation] = strings.Join(lines, "\n")
	m.SetAnnotations(all)
}

// UnknownFields returns a sentence for each unknown field of a monitor that a LenientDecoder noted.
func UnknownFields(obj any) []string {
	m, err := meta.Accessor(obj)
	if err != nil || m.GetAnnotations()[unknownAnnotation] == "" {
		return nil
	}
	return strings.Split(m.GetAnnotations()[unknownAnnotation], "\n")
}
