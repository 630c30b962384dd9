package config

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// poison reports whether Prometheus's loader must not see a regex. "null" and "~" in quotes bypass its own decoder, and replace the default
// regular expression of all rules in the process.
func poison(n *yaml.Node) bool {
	return n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 && (n.Value == "null" || n.Value == "~")
}

func whyPoison(value string) string {
	return fmt.Sprintf("%q would become the default of all rules, by a defect of Prometheus's loader; write %q", value, "(?:"+value+")")
}

// poisonous reports whether a tree holds such a regex.
func poisonous(n *yaml.Node) bool {
	n = resolved(n)
	if n == nil {
		return false
	}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 1 && n.Content[i-1].Value == "regex" && poison(resolved(c)) || poisonous(c) {
			return true
		}
	}
	return false
}
