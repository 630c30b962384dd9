package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"go.yaml.in/yaml/v3"

	"promrelay/config/agent"
)

// Follows returns the object whose spec is the block monitors, as its kind, namespace and name; false if there is none.
func (k *Kubernetes) Follows() (kind, namespace, name string, ok bool) {
	if k == nil {
		return "", "", "", false
	}
	kind, path := agent.KindAgent, k.PrometheusAgent
	if k.Prometheus != "" {
		kind, path = agent.KindPrometheus, k.Prometheus
	}
	parts := objectPath.FindStringSubmatch(path)
	if parts == nil {
		return "", "", "", false
	}
	return kind, parts[1], parts[2], true
}

var objectPath = regexp.MustCompile(`^([a-z0-9][-a-z0-9]*)/([a-z0-9][-.a-z0-9]*)$`)

// validateFollowed checks the names of objects that the block monitors follows.
func (k *Kubernetes) validateFollowed(bad bad) {
	for key, path := range map[string]string{"prometheusAgent": k.PrometheusAgent, "prometheus": k.Prometheus} {
		if path != "" && !objectPath.MatchString(path) {
			bad("kubernetes."+key, "%q: want NAMESPACE/NAME", path)
		}
	}
	if k.PrometheusAgent != "" && k.Prometheus != "" {
		bad("kubernetes.prometheus", "cannot stand beside kubernetes.prometheusAgent: one object can be followed")
	}
}

// LoadFileFollowing is LoadFile for a file that may follow an object. Monitors is the block that the object gives; nil if it is not known,
// and then no monitor is selected. Keys that the file's own block monitors gives count before it.
func LoadFileFollowing(path string, monitors *yaml.Node) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	c, err := read(text, filepath.Dir(path), monitors)
	if err != nil {
		return nil, &FileError{path, err, c}
	}
	return c, nil
}

// follow puts the block that an object gives into the document, if the document follows an object.
func (d document) follow(monitors *yaml.Node) {
	var k Kubernetes
	if node := find(d.root, "kubernetes"); node == nil || node.Decode(&k) != nil {
		return // loading the block says what is wrong with it
	}
	if _, _, _, ok := k.Follows(); !ok {
		return
	}
	if monitors == nil {
		monitors = nothing()
	}
	block := find(d.root, "monitors")
	if block != nil && isNull(block) {
		*block = *monitors
		return
	}
	if block = resolved(block); block == nil {
		d.root.Content = append(d.root.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "monitors"}, monitors)
		return
	}
	if block.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(monitors.Content); i += 2 {
		if find(block, monitors.Content[i].Value) == nil {
			block.Content = append(block.Content, monitors.Content[i], monitors.Content[i+1])
		}
	}
}

// nothing selects no monitor: no label has two values.
func nothing() *yaml.Node {
	var n yaml.Node
	err := yaml.Unmarshal([]byte(`
serviceMonitorSelector: {matchExpressions: [{key: promrelay, operator: Exists}, {key: promrelay, operator: DoesNotExist}]}
serviceMonitorNamespaceSelector: {}
podMonitorSelector: null
probeSelector: null
scrapeConfigSelector: null
`), &n)
	if err != nil {
		panic(err)
	}
	return n.Content[0]
}
