package targets

import (
	"fmt"
	"slices"
	"strings"
)

// Missing is what is known when a subject is not found.
type Missing struct {
	Known []Owner // the monitors and blocks that there are
	// Off says why monitors of the kind are not known; empty if all of them are.
	Off string
	// NoMonitors says that the configuration has no block monitors.
	NoMonitors bool
}

// Explain says that there is no such monitor, and what there is.
func (m Missing) Explain(s Subject) Explanation {
	o := Owner{Kind(s.Kind), s.Namespace, s.Name}
	step := Step{Name: StepSelected, Outcome: OutcomeBroken}
	switch {
	case m.NoMonitors && slices.Contains(Kinds[:], o.Kind):
		step.Text, step.Mend = "the relay reads no monitors", "add a block monitors: {} to the relay's configuration"
	case m.Off != "":
		step.Text, step.Mend = fmt.Sprintf("%ss are not known: %s", o.Kind, m.Off), mendOff(m.Off)
	default:
		step.Text, step.Mend = m.nearest(o)
	}
	x := Explanation{Subject: s, Steps: []Step{step}}
	x.conclude()
	return x
}

// mendOff says what to do if the objects of a kind are not known.
func mendOff(why string) string {
	switch {
	case strings.Contains(why, "ClusterRole"):
		return "apply the ClusterRole of deploy/"
	case strings.Contains(why, "CRD"):
		return "install the CRDs of prometheus-operator; the relay sees them within 10 seconds"
	}
	return "look at the relay's log"
}

// nearest names the monitors that may be meant.
func (m Missing) nearest(o Owner) (text, mend string) {
	text = "there is no " + o.String()
	var elsewhere, names, others []string
	for _, k := range m.Known {
		switch {
		case k.Name == o.Name && k.Kind == o.Kind:
			elsewhere = append(elsewhere, k.String())
		case k.Name == o.Name && k.Namespace == o.Namespace:
			others = append(others, k.String())
		case k.Kind == o.Kind && k.Namespace == o.Namespace:
			names = append(names, k.Name)
		}
	}
	slices.Sort(elsewhere)
	slices.Sort(names)
	mend = "create it, or correct its name"
	switch near := nearestWord(o.Name, names); {
	case len(elsewhere) > 0:
		text += ", but there is " + UpTo(elsewhere, maxNamed)
	case len(others) > 0:
		text += ", but there is " + UpTo(others, maxNamed)
	case near != "":
		text += near
	case len(names) > 0:
		text += fmt.Sprintf("; in namespace %s there are %s", o.Namespace, UpTo(names, 3*maxNamed))
	case o.Namespace != "":
		text += fmt.Sprintf("; there is no %s in namespace %s", o.Kind, o.Namespace)
	}
	return text, mend
}
