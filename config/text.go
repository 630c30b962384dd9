package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"promrelay/config/redact"
)

// Text returns the configuration as YAML, with the keys that the file has and without its comments. Secrets are replaced by redact.Mark, and
// aliases by what they stand for.
func (c *Config) Text() string {
	if c.doc.root == nil {
		return "{}\n"
	}
	return c.Shown(errors.New(shownYAML(c.doc.root))).Error()
}

// ShownYAML returns a part of a configuration, such as a job, as YAML without secrets.
func ShownYAML(part any) (string, error) {
	var n yaml.Node
	if err := n.Encode(part); err != nil {
		return "", fmt.Errorf("write as YAML: %w", err)
	}
	return redact.Of(part).Text(shownYAML(&n)), nil
}

func shownYAML(n *yaml.Node) string {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(shownNode(n, standing{})), e.Close()); err != nil {
		return "# this cannot be written as YAML: " + err.Error() + "\n"
	}
	return b.String()
}

// standing says where a node stands.
type standing struct {
	secret   bool // it is the value of a key with the name of a secret
	receiver bool // it is in remote_write
	url      bool // it is the value of a key url
}

// shownNode returns a copy of a node without comments, aliases and secrets.
func shownNode(n *yaml.Node, at standing) *yaml.Node {
	n = resolved(n)
	out := &yaml.Node{Kind: n.Kind, Style: n.Style, Tag: n.Tag, Value: n.Value}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := resolved(n.Content[i])
			below := standing{receiver: at.receiver || key.Value == "remote_write", url: key.Value == "url"}
			below.secret = holdsSecret(n, key.Value) || at.secret && key.Value == "values"
			out.Content = append(out.Content, shownNode(key, standing{}), shownNode(n.Content[i+1], below))
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			out.Content = append(out.Content, shownNode(item, at))
		}
	case yaml.ScalarNode:
		switch {
		case isNull(n):
		case at.secret:
			out.Value, out.Tag, out.Style = redact.Mark, "!!str", 0
		case at.url && at.receiver:
			out.Value = redact.BareURL(n.Value)
		case strings.Contains(n.Value, "://"):
			out.Value = redact.Text(n.Value)
		}
	}
	return out
}

// holdsSecret reports whether the value of a key of a mapping is a secret, or has one among its values.
func holdsSecret(mapping *yaml.Node, key string) bool {
	switch key {
	case "key": // a private key of tls_config; in a reference to a Secret it stands beside the Secret's name, in a label selector beside an operator
		return find(mapping, "name") == nil && find(mapping, "operator") == nil
	case "replacement": // of a relabel rule for a parameter
		target := find(mapping, "target_label")
		return target != nil && redact.Param(resolved(target).Value, "x") == redact.Mark
	}
	return redact.Name(key)
}
