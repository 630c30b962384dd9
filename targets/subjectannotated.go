package targets

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"promrelay/config"
)

// missesAnnotated says why the block annotations has no target of a Service; its Text is empty if the job has nothing to do with it.
// Selects reports that the job selects the Service.
func (s *search) missesAnnotated(svc metav1.Object) (why Step, selects bool) {
	why = Step{Name: StepObjects, Outcome: OutcomeBroken}
	value, has := svc.GetAnnotations()[s.job.Annotation]
	switch {
	case !has:
		return Step{}, false
	case value != "true":
		why.Text = fmt.Sprintf("its annotation %s is %q: want \"true\"", s.job.Annotation, value)
		why.Mend = fmt.Sprintf("annotate Service %s: %s: \"true\"", keyOf(svc), s.job.Annotation)
	case len(s.sd.Namespaces) > 0 && !slices.Contains(s.sd.Namespaces, svc.GetNamespace()):
		why.Text = fmt.Sprintf("it has the annotation %s, and annotations.namespaces leaves namespace %s out", s.job.Annotation, svc.GetNamespace())
		why.Mend = fmt.Sprintf("add %s to annotations.namespaces", svc.GetNamespace())
	case svc.GetAnnotations()[s.job.AnnotationPrefix()+"/scrape-slow"] == "true" && s.job.Annotation != s.job.AnnotationPrefix()+"/scrape-slow":
		return Step{}, false // another job has it
	case s.job.Refuses(s.labelsOf(RoleService, svc)) != nil:
		why.Text = fmt.Sprintf("it has the annotation %s, and annotations.namespace_selector leaves namespace %s out", s.job.Annotation, svc.GetNamespace())
		why.Mend = fmt.Sprintf("correct annotations.namespace_selector, or the labels of namespace %s", svc.GetNamespace())
	default:
		why = s.whyNot(svc)
		why.Name, why.Outcome = StepEndpoints, OutcomeBroken
		return why, true
	}
	return why, false
}

// annotationUnread says that a Service asks to be scraped by an annotation that the configuration does not read. Its Text is empty if
// that is not so.
func annotationUnread(svc metav1.Object, all []Evidence) Step {
	const asks = config.DefaultAnnotationPrefix + "/scrape"
	if svc.GetAnnotations()[asks] != "true" {
		return Step{}
	}
	out := Step{Name: StepSelected, Outcome: OutcomeBroken}
	read := annotationsRead(all)
	switch {
	case len(read) == 0:
		out.Text = fmt.Sprintf("the configuration has no block annotations, so the annotation %s: \"true\" has no effect", asks)
		out.Mend = "add the block annotations: {} to the relay's configuration, or create a ServiceMonitor in namespace " + svc.GetNamespace()
	case read[0].AnnotationPrefix() != config.DefaultAnnotationPrefix:
		own := read[0].AnnotationPrefix()
		out.Text = fmt.Sprintf("annotations.prefix is %s, so the annotation %s: \"true\" has no effect", own, asks)
		out.Mend = fmt.Sprintf("annotate Service %s: %s/scrape: \"true\", or correct annotations.prefix", keyOf(svc), own)
	case !slices.ContainsFunc(read, func(j *Job) bool { return j.Discoveries[0].Selects() == RoleService }):
		out.Text = fmt.Sprintf("annotations.services is false, so the annotation %s: \"true\" of a Service has no effect", asks)
		out.Mend = "set annotations.services: true"
	default:
		return Step{}
	}
	return out
}

// annotationsRead are the jobs of the block annotations.
func annotationsRead(all []Evidence) (out []*Job) {
	for _, e := range all {
		for _, j := range e.Status.Jobs {
			if j.Job.Annotation != "" {
				out = append(out, j.Job)
			}
		}
	}
	return out
}
