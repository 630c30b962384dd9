package informers

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
)

// unknownFields is the annotation in which a monitor of an API server bears the fields that nobody knows, a line each: they come
// with a CRD that is newer than the relay, or that lets anything in. The API server accepts no name with spaces, so nobody else writes it.
const unknownFields = "fields that nobody knows"

// mostUnknown is how many fields of a monitor are named at most.
const mostUnknown = 10

// noteUnknown notes which fields of a monitor's spec nobody knows. What else is there, of a newer API server or in the status, says
// nothing of what to scrape.
func noteUnknown(o runtime.Object, err error) {
	m, metaErr := meta.Accessor(o)
	strict, ok := runtime.AsStrictDecodingError(err)
	if metaErr != nil || !ok {
		return
	}
	var lines []string
	for _, e := range strict.Errors() {
		if q := quotedPath.FindStringSubmatch(e.Error()); q != nil && (q[1] == "spec" || strings.HasPrefix(q[1], "spec.")) {
			lines = append(lines, e.Error())
		}
	}
	if more := len(lines) - mostUnknown; more > 0 {
		lines = append(lines[:mostUnknown], fmt.Sprintf("and %d more", more))
	}
	if len(lines) == 0 {
		return
	}
	all := m.GetAnnotations()
	if all == nil {
		all = map[string]string{}
	}
	all[unknownFields] = strings.Join(lines, "\n")
	m.SetAnnotations(all)
}

// unknownIn returns what noteUnknown noted.
func unknownIn(obj any) []string {
	m, err := metaOf(obj)
	if err != nil || m.GetAnnotations()[unknownFields] == "" {
		return nil
	}
	return strings.Split(m.GetAnnotations()[unknownFields], "\n")
}
