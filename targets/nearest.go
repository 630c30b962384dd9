package targets

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	operators "k8s.io/apimachinery/pkg/selection"

	"promrelay/config"
)

// maxCompared bounds how many objects are compared letter by letter to find the nearest one.
const maxCompared = 200

// candidate is an object that does not match a selector, and what it lacks.
type candidate struct {
	object   metav1.Object
	met      int                     // requirements that it meets
	differs  []k8slabels.Requirement // those that it does not meet
	distance int                     // letters to change, of its values and its name
}

// nearestObject returns the object that comes nearest to a selector: the one that meets the most requirements, and of these the one
// with the most similar values and name. It returns nil if none is near.
func nearestObject(sel k8slabels.Selector, all iter.Seq[metav1.Object], name string) *candidate {
	wants, selectable := sel.Requirements()
	if !selectable || len(wants) == 0 {
		return nil
	}
	var best []candidate
	for o := range all {
		c := candidate{object: o}
		for _, r := range wants {
			if r.Matches(k8slabels.Set(o.GetLabels())) {
				c.met++
			} else {
				c.differs = append(c.differs, r)
			}
		}
		if len(best) > 0 && c.met > best[0].met {
			best = nil
		}
		if len(c.differs) > 0 && (len(best) == 0 || c.met == best[0].met && len(best) < maxCompared) {
			best = append(best, c)
		}
	}
	for i := range best {
		best[i].measure(name)
	}
	best = slices.DeleteFunc(best, func(c candidate) bool { return c.met == 0 && !c.similar() })
	if len(best) == 0 {
		return nil
	}
	n := slices.MinFunc(best, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(keyOf(a.object), keyOf(b.object)))
	})
	return &n
}

// identityLabels are the labels that say which application an object belongs to.
var identityLabels = []string{"app", "app.kubernetes.io/name", "k8s-app", "name"}

// Distances of labels: of one that is missing, and what is added for another application.
const (
	missingLabel = 10
	otherApp     = 20
	minimalTypo  = 4 // two letters of a value
)

// measure sets the distance.
func (c *candidate) measure(name string) {
	c.distance = config.Distance(c.object.GetName(), name)
	for _, r := range c.differs {
		least := missingLabel
		if has, ok := c.object.GetLabels()[r.Key()]; ok {
			least = 2 * missingLabel
			for v := range r.Values() {
				least = min(least, 2*config.Distance(has, v))
			}
			if least > minimalTypo && slices.Contains(identityLabels, r.Key()) {
				least += otherApp
			}
		} else if key, _ := c.alike(r); key != "" {
			least = min(missingLabel-1, len(r.Key()))
		}
		c.distance += least
	}
}

// similar reports whether one of the labels that differ has the right name or the right value.
func (c *candidate) similar() bool {
	return slices.ContainsFunc(c.differs, func(r k8slabels.Requirement) bool {
		_, has := c.object.GetLabels()[r.Key()]
		key, _ := c.alike(r)
		return has || key != ""
	})
}

// alike returns a label of another name that has the value which a requirement wants, or one whose name is nearly the same.
func (c *candidate) alike(r k8slabels.Requirement) (key, value string) {
	own := c.object.GetLabels()
	for _, k := range sortedKeys(own) {
		if r.Values().Has(own[k]) || k != r.Key() && config.Distance(k, r.Key()) <= 2 {
			return k, own[k]
		}
	}
	return "", ""
}

// has says which labels differ.
func (c *candidate) has() string {
	var out []string
	for _, r := range c.differs {
		v, ok := c.object.GetLabels()[r.Key()]
		key, other := c.alike(r)
		switch {
		case ok:
			out = append(out, "has "+r.Key()+"="+v)
		case key != "":
			out = append(out, fmt.Sprintf("has no label %s, but %s=%s", r.Key(), key, other))
		default:
			out = append(out, "has no label "+r.Key())
		}
	}
	return UpTo(out, maxNamed)
}

// near is what comes nearest to a selector, in words.
type near struct {
	text, mend string
	facts      []string
}

// nearest finds the object nearest to the job's selector. It returns nil if none is near.
func (s *search) nearest(selector string) *near {
	sel, err := k8slabels.Parse(selector)
	if err != nil {
		return nil
	}
	role, kind := s.sd.Selects(), kindsOf[s.sd.Role][0]
	n := nearestObject(sel, s.All(role, s.sd.Namespaces), s.job.Owner.Name)
	if n == nil {
		return nil
	}
	out := &near{text: fmt.Sprintf("the closest one, %s %s, %s", kind, keyOf(n.object), n.has())}
	for _, r := range n.differs {
		out.facts = append(out.facts, fmt.Sprintf("%s %s %s; the selector wants %s", kind, keyOf(n.object), (&candidate{object: n.object, differs: []k8slabels.Requirement{r}}).has(), r.String()))
	}
	out.mend = n.mend("the selector of "+s.owner(), kind+" "+keyOf(n.object))
	return out
}

// mend says how to change the selector or the object so that they match.
func (c *candidate) mend(selector, object string) string {
	if len(c.differs) != 1 {
		var want []string
		for _, r := range c.differs {
			want = append(want, r.String())
		}
		return fmt.Sprintf("change %s, or label %s so that it meets %s", selector, object, strings.Join(want, ","))
	}
	r := c.differs[0]
	key := r.Key()
	v, has := c.object.GetLabels()[key]
	other, value := c.alike(r)
	set := fmt.Sprintf("the label %s on %s", r.String(), object)
	switch op := r.Operator(); {
	case op == operators.NotIn || op == operators.NotEquals:
		return fmt.Sprintf("take %s out of the values of %s that %s rules out, or change this label of %s", v, key, selector, object)
	case op == operators.DoesNotExist:
		return fmt.Sprintf("take !%s out of %s, or the label %s off %s", key, selector, key, object)
	case op == operators.In && r.Values().Len() > 1 && has:
		return fmt.Sprintf("add %s to the values of %s in %s, or change this label of %s", v, key, selector, object)
	case has:
		return fmt.Sprintf("set %s: %s in %s, or %s", key, v, selector, set)
	case other != "":
		return fmt.Sprintf("set %s: %s in %s, or %s", other, value, selector, set)
	}
	return fmt.Sprintf("take %s out of %s, or set %s", r.String(), selector, set)
}

// nearestWord is the end of a sentence that names the known word nearest to one that is not known; empty if none is near.
func nearestWord(word string, known []string) string {
	if best := nearest(word, known); best != "" {
		return ", did you mean " + best + "?"
	}
	return ""
}

// nearest is the known word nearest to one that is not known; empty if none is near.
func nearest(word string, known []string) string {
	best, least := "", min(4, len(word)/2+2)
	for _, k := range known {
		if d := config.Apart(word, k); d < least || d == least && best != "" && k < best {
			best, least = k, d
		}
	}
	return best
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
