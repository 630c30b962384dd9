package targets

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// maxAnnotated is how many objects the notes of a job name.
const maxAnnotated = 20

// AnnotationNotes say what is not obvious of the objects with the annotation of a job: those that give it no targets, and values that are
// probably mistakes. Found are the objects that gave it some.
func AnnotationNotes(from Objects, j *Job, found map[string]bool) (out []string) {
	s := &search{Objects: from, job: j, sd: j.Discoveries[0]}
	role := s.sd.Selects()
	var doubts, silent []string
	for o := range s.All(role, s.sd.Namespaces) {
		value, has := o.GetAnnotations()[j.Annotation]
		path := o.GetAnnotations()[j.AnnotationPrefix()+"/path"]
		name := KindOfRole(role) + " " + keyOf(o)
		switch {
		case !has:
		case value != "true" && value != "false":
			doubts = append(doubts, fmt.Sprintf("%s is not scraped: its annotation %s is %q: want \"true\"", name, j.Annotation, value))
		case j.Refuses(s.labelsOf(role, o)) != nil:
		case !found[keyOf(o)]:
			silent = append(silent, "no targets: "+s.whyNot(o).Text)
		case path != "" && !strings.HasPrefix(path, "/"):
			doubts = append(doubts, fmt.Sprintf("%s has the annotation %s/path: %q without a slash: /%s is scraped", name, j.AnnotationPrefix(), path, path))
		}
	}
	for _, notes := range [...][]string{doubts, silent} {
		slices.Sort(notes)
		if more := len(notes) - maxAnnotated; more > 0 {
			notes = append(notes[:maxAnnotated], "and "+counted(more, kindsOf[role])+" more")
		}
		out = append(out, notes...)
	}
	return out
}

// labelsOf are the labels by which the job selects an object: its own, and those of its namespace if they are attached.
func (s *search) labelsOf(role string, o metav1.Object) map[string]string {
	out := ObjectLabels(role, o)
	if s.sd.Attach.Namespace {
		if ns := s.Get(RoleNamespace, o.GetNamespace()); ns != nil {
			maps.Copy(out, ObjectLabels(RoleNamespace, ns))
		}
	}
	return out
}
