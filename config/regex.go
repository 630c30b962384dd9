package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/prometheus/model/relabel"
	"go.yaml.in/yaml/v3"
)

// poisonous finds a regex that Prometheus's loader must not see: "null" and "~" in quotes pass by its own decoder, into the
// regular expression that is the default of all rules of the process.
func poisonous(node *yaml.Node) error {
	return eachRegex(node, func(n *yaml.Node) error {
		if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 && (n.Value == "null" || n.Value == "~") {
			return fmt.Errorf("line %d: regex: %q would become the default of all rules, by a defect of Prometheus's loader; write %q", n.Line, n.Value, "(?:"+n.Value+")")
		}
		return nil
	})
}

// poisonousFiles looks into scrape_config_files. Those that cannot be read Prometheus's loader tells of.
func poisonousFiles(patterns []string) error {
	for _, pattern := range patterns {
		paths, _ := filepath.Glob(pattern) // the loader has checked the pattern
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				continue
			}
			var node yaml.Node
			if yaml.Unmarshal(text, &node) != nil {
				continue
			}
			if err := poisonous(&node); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	return nil
}

// eachRegex visits the values of all keys that are called regex, up to an error.
func eachRegex(node *yaml.Node, visit func(*yaml.Node) error) error {
	if node == nil {
		return nil
	}
	for i, n := range node.Content {
		if node.Kind == yaml.MappingNode && i%2 == 1 && node.Content[i-1].Value == "regex" {
			if err := visit(n); err != nil {
				return err
			}
		}
		if err := eachRegex(n, visit); err != nil {
			return err
		}
	}
	return nil
}

// locate adds the line of the regular expression that an error is about: those that compile them do not know it.
func (d document) locate(err error) error {
	located := eachRegex(d.root, func(n *yaml.Node) error {
		if _, bad := relabel.NewRegexp(n.Value); bad != nil && strings.Contains(err.Error(), bad.Error()) {
			return fmt.Errorf("line %d: regex: %w", n.Line, err)
		}
		return nil
	})
	if located != nil {
		return located
	}
	return err
}
