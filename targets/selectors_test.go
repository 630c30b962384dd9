package targets

import (
	"testing"
	"unicode/utf8"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	promk8s "github.com/prometheus/prometheus/discovery/kubernetes"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	k8slabels "k8s.io/apimachinery/pkg/labels"
)

// selectorOf reads a Selector as people write it.
func selectorOf(t testing.TB, labels, fieldSelector string) Selector {
	t.Helper()
	s, err := selectorJSON{labels, fieldSelector}.parse()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSelectorsRoundTrip writes Selectors and reads them back. Nothing that a value may contain ends a part of the text.
func TestSelectorsRoundTrip(t *testing.T) {
	for name, want := range map[string]map[string]Selector{
		"none":       {},
		"one":        {RolePod: selectorOf(t, "app=web", "")},
		"operators":  {RolePod: selectorOf(t, "a==b,c!=d,e in (f,g),h notin (i),j,!k,l>1,m<2,n=", "")},
		"fields":     {RolePod: selectorOf(t, "", `spec.nodeName=a\,b\=c\\d,status.phase!=Failed`)},
		"separators": {RolePod: selectorOf(t, "a=b", `metadata.name=a;b|c"d`), RoleNode: selectorOf(t, "x.y/z", "")},
		"two roles":  {RoleEndpointSlice: selectorOf(t, "app=web", ""), RoleService: selectorOf(t, "app=web", "")},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewSelectors(want)
			got, err := s.ByRole()
			if err != nil || len(got) != len(want) {
				t.Fatalf("%s: got %v (%v)", s, got, err)
			}
			for role, w := range want {
				if g := got[role]; g.Labels.String() != w.Labels.String() || g.Fields.String() != w.Fields.String() {
					t.Errorf("role %s: got %s and %s, want %s and %s", role, g.Labels, g.Fields, w.Labels, w.Fields)
				}
			}
			if again := NewSelectors(got); again != s {
				t.Errorf("%s is written as %s the second time", s, again)
			}
		})
	}
}

// TestSelectorsCompare has two ways to write one thing. Jobs that select alike share a Source.
func TestSelectorsCompare(t *testing.T) {
	a := NewSelectors(map[string]Selector{RolePod: selectorOf(t, "b in (y,x), a=1", "metadata.namespace=n,metadata.name=m"), RoleNode: {}})
	b := NewSelectors(map[string]Selector{RolePod: selectorOf(t, "a = 1,b in (x, y)", "metadata.name=m,metadata.namespace=n")})
	if a != b {
		t.Errorf("%s is not %s", a, b)
	}
	if all := NewSelectors(map[string]Selector{RolePod: {}, RoleNode: {k8slabels.Everything(), fields.Everything()}}); all != (Selectors{}) {
		t.Errorf("what selects all objects is written as %s", all)
	}
}

// FuzzSelectors tries any selectors. No two different ones may become the same.
func FuzzSelectors(f *testing.F) {
	f.Add("a=b", "c=d", "a in (b)", "c!=d")
	f.Add("a", `x=\,`, "!a", `x=;|`)
	f.Fuzz(func(t *testing.T, labels1, fields1, labels2, fields2 string) {
		one, err1 := selectorJSON{labels1, fields1}.parse()
		two, err2 := selectorJSON{labels2, fields2}.parse()
		if err1 != nil || err2 != nil || !utf8.ValidString(fields1) || !utf8.ValidString(fields2) { // files and objects are UTF-8
			t.Skip()
		}
		a, b := NewSelectors(map[string]Selector{RolePod: one}), NewSelectors(map[string]Selector{RolePod: two})
		same := one.Labels.String() == two.Labels.String() && one.Fields.String() == two.Fields.String()
		if (a == b) != same {
			t.Errorf("%q and %q are %s and %s", labels1, labels2, a, b)
		}
		if got, err := a.ByRole(); err != nil || NewSelectors(got) != a {
			t.Errorf("%s is read as %v (%v)", a, got, err)
		}
	})
}

// TestSelectorMechanism has the objects selected at their source where a monitor asks for it, and by rules where it does not.
func TestSelectorMechanism(t *testing.T) {
	settings, err := NewSettings(monitoringv1.CommonPrometheusFields{ScrapeInterval: "30s"}, "")
	if err != nil {
		t.Fatal(err)
	}
	byRole := monitoringv1.SelectorMechanismRole
	for name, c := range map[string]struct {
		mechanism *monitoringv1.SelectorMechanism
		roles     []string
		demands   int
	}{
		"by rules": {nil, nil, 1},
		"by roles": {&byRole, []string{RoleEndpointSlice, RoleService}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := settings.Compile(&monitoringv1.ServiceMonitor{Spec: monitoringv1.ServiceMonitorSpec{
				Selector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}, SelectorMechanism: c.mechanism,
				Endpoints: []monitoringv1.Endpoint{{Port: "web"}},
			}}, nil)
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			j := r.Jobs[0]
			want := map[string]Selector{}
			for _, role := range c.roles {
				want[role] = selectorOf(t, "app=web", "")
			}
			if got := j.Discoveries[0].Selectors; got != NewSelectors(want) {
				t.Errorf("selectors are %s, want %s", got, NewSelectors(want))
			}
			if len(j.Select) != c.demands || len(j.Demands) != c.demands || j.Selector != "app=web" {
				t.Errorf("selects by %d rules, demands %v, selector %q", len(j.Select), j.Demands, j.Selector)
			}
		})
	}
}

// TestDemands has the values that an object must have. A value that the operator's rules treat as a regular expression is no demand.
func TestDemands(t *testing.T) {
	for name, c := range map[string]struct {
		selector metav1.LabelSelector
		want     []Demand
	}{
		"labels in order":    {metav1.LabelSelector{MatchLabels: map[string]string{"b": "2", "a.x/y": "1"}}, []Demand{{RolePod, "a_x_y", "1"}, {RolePod, "b", "2"}}},
		"a dot is any":       {metav1.LabelSelector{MatchLabels: map[string]string{"version": "1.2"}}, nil},
		"an empty value":     {metav1.LabelSelector{MatchLabels: map[string]string{"a": ""}}, nil},
		"one of one":         {expression("a", metav1.LabelSelectorOpIn, "x"), []Demand{{RolePod, "a", "x"}}},
		"one of two":         {expression("a", metav1.LabelSelectorOpIn, "x", "y"), nil},
		"not one":            {expression("a", metav1.LabelSelectorOpNotIn, "x"), nil},
		"whatever it may be": {expression("a", metav1.LabelSelectorOpExists), nil},
		"not there":          {expression("a", metav1.LabelSelectorOpDoesNotExist), nil},
	} {
		t.Run(name, func(t *testing.T) {
			var l ruleList
			l.selector(RolePod, c.selector)
			if len(l.demands) != len(c.want) {
				t.Fatalf("demands %v, want %v", l.demands, c.want)
			}
			for i, d := range l.demands {
				if d != c.want[i] {
					t.Errorf("demands %v, want %v", l.demands, c.want)
				}
			}
			j := &Job{Select: l.rules, Demands: l.demands}
			found := map[string]string{}
			for _, d := range j.Demands {
				if j.Refuses(found) == nil {
					t.Errorf("%s is demanded, and an object without it is not refused", d.Label())
				}
				found[d.Label()], found["__meta_kubernetes_pod_labelpresent_"+d.Name] = d.Value, "true"
			}
			if len(c.want) > 0 && j.Refuses(found) != nil {
				t.Errorf("%v is refused", found)
			}
		})
	}
}

func expression(key string, op metav1.LabelSelectorOperator, values ...string) metav1.LabelSelector {
	return metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: key, Operator: op, Values: values}}}
}

// TestOwnClusterSelectors reads the selectors of a kubernetes_sd_configs block, in any order.
func TestOwnClusterSelectors(t *testing.T) {
	sd := &promk8s.SDConfig{Role: promk8s.RoleEndpointSlice, Selectors: []promk8s.SelectorConfig{
		{Role: promk8s.RoleService, Label: "app=web"}, {Role: promk8s.RoleEndpointSlice, Field: "metadata.name=a"},
	}}
	d, err := ownCluster(sd, "")
	if err != nil {
		t.Fatal(err)
	}
	want := NewSelectors(map[string]Selector{RoleEndpointSlice: selectorOf(t, "", "metadata.name=a"), RoleService: selectorOf(t, "app=web", "")})
	if d.Selectors != want {
		t.Errorf("selectors are %s, want %s", d.Selectors, want)
	}
	sd.Selectors[0].Label = "a b"
	if _, err := ownCluster(sd, ""); err == nil {
		t.Error("a label selector that cannot be read is taken")
	}
}
