package conformance

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// askByRoles asks the oracle about a case with the roles that docs/fidelity.md describes: an endpoint without a role whose rules name
// labels of the role endpoints uses that role. It asks once for each role, and takes each job from the answer for its role.
func (o *oracle) askByRoles(c *testCase) (*result, error) {
	jobs := c.byEndpoints()
	if len(jobs) == 0 {
		return o.ask(c)
	}
	bySlices, err := o.ask(c)
	if err != nil || bySlices.Error != "" {
		return bySlices, err
	}
	other := c.clone()
	other.Settings["serviceDiscoveryRole"] = "Endpoints"
	endpoints, err := o.ask(other)
	if err != nil {
		return nil, err
	}
	for _, name := range jobs {
		if j, ok := endpoints.Jobs[name]; ok {
			bySlices.Jobs[name] = j
		}
	}
	return bySlices, nil
}

// byEndpoints names the jobs that have no role but labels of the role endpoints.
func (c *testCase) byEndpoints() (out []string) {
	if c.Settings["serviceDiscoveryRole"] != nil {
		return nil
	}
	for _, o := range c.Objects {
		spec, _ := o["spec"].(dict)
		if o.kind() != "ServiceMonitor" || spec["serviceDiscoveryRole"] != nil {
			continue
		}
		class := c.classRules(spec)
		es, _ := spec["endpoints"].([]any)
		for i, e := range es {
			e, _ := e.(dict)
			if namesEndpoints(e["relabelings"]) || namesEndpoints(class) {
				out = append(out, fmt.Sprintf("serviceMonitor/%s/%s/%d", o.meta("namespace"), o.meta("name"), i))
			}
		}
	}
	return out
}

// classRules are the rules for targets of a monitor's scrape class.
func (c *testCase) classRules(spec dict) any {
	classes, _ := c.Settings["scrapeClasses"].([]any)
	for _, class := range classes {
		class, _ := class.(dict)
		if name := text(spec["scrapeClass"]); class["name"] == name || name == "" && class["default"] == true {
			return class["relabelings"]
		}
	}
	return nil
}

// Labels that one of the two roles gives and the other does not.
var (
	ofEndpoints = []string{"endpoint_port_name", "endpoint_port_protocol", "endpoint_ready", "endpoint_address_target_name", "endpoints_name", "endpoints_label_x"}
	ofSlices    = []string{"endpointslice_port_name", "endpointslice_port_protocol", "endpointslice_endpoint_conditions_ready", "endpointslice_address_target_name", "endpointslice_name", "endpointslice_label_x"}
)

// namesEndpoints tells whether rules name labels of the role endpoints, or map, drop or keep them and none of the other.
func namesEndpoints(rules any) bool {
	names := func(v any) bool {
		s := text(v)
		return strings.Contains(s, "__meta_kubernetes_endpoint_") || strings.Contains(s, "__meta_kubernetes_endpoints_")
	}
	all, _ := rules.([]any)
	return slices.ContainsFunc(all, func(r any) bool {
		rule, _ := r.(dict)
		sources, _ := rule["sourceLabels"].([]any)
		if names(rule["regex"]) || slices.ContainsFunc(sources, names) {
			return true
		}
		re, err := regexp.Compile("^(?s:" + text(rule["regex"]) + ")$")
		if action := strings.ToLower(text(rule["action"])); err != nil || action != "labelmap" && action != "labeldrop" && action != "labelkeep" {
			return false
		}
		matches := func(name string) bool { return re.MatchString("__meta_kubernetes_" + name) }
		return slices.ContainsFunc(ofEndpoints, matches) && !slices.ContainsFunc(ofSlices, matches)
	})
}
