package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"promrelay/informers/files"
)

const (
	// configName is the name of the configuration file, and its key in a ConfigMap.
	configName = "promrelay.yml"
	// maxConfig is how many bytes a configuration or a file of manifests may have.
	maxConfig = 64 << 20
)

// configText is the text of a configuration, with the place that messages about it name.
type configText struct {
	path     string // of the file; with more if lines are not those of the file
	text     []byte // with empty lines before it if that makes its lines those of the file
	manifest bool   // it is in a manifest, so that the files that it names are not on this machine
}

// findConfig returns the configuration at a path: a configuration file, a manifest of a ConfigMap or Secret that holds one, a directory
// of either, or the standard input.
func findConfig(path string, in io.Reader) (configText, error) {
	if path == "-" {
		text, err := io.ReadAll(io.LimitReader(in, maxConfig))
		if err != nil {
			return configText{}, fmt.Errorf("read the standard input: %w", err)
		}
		return oneConfig("-", inManifests("-", text), text)
	}
	info, err := os.Stat(path)
	if err != nil {
		return configText{}, fmt.Errorf("read configuration: %w", err)
	}
	if info.IsDir() {
		return configInDirectory(path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return configText{}, fmt.Errorf("read configuration: %w", err)
	}
	return oneConfig(path, inManifests(path, text), text)
}

// configInDirectory finds the configuration in a mounted ConfigMap, or in a directory of manifests.
func configInDirectory(dir string) (configText, error) {
	if path := filepath.Join(dir, configName); exists(path) {
		return findConfig(path, nil)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return configText{}, fmt.Errorf("read configuration: %w", err)
	}
	found := holders{}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)) {
			continue
		}
		text, err := files.ReadRegular(path, maxConfig)
		if err != nil {
			continue // it is not the configuration: a directory, say
		}
		if in := inManifests(path, text); in != nil {
			found.configs, found.others = append(found.configs, in.configs...), append(found.others, in.others...)
		}
	}
	return oneConfig(dir, &found, nil)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// holders are the ConfigMaps and Secrets of manifests.
type holders struct {
	configs []configText // those that hold a configuration
	others  []string     // names of the others, with their keys
}

// oneConfig returns the one configuration of manifests. Without manifests, the text is the configuration.
func oneConfig(path string, found *holders, text []byte) (configText, error) {
	switch {
	case found == nil:
		return configText{path: path, text: text}, nil
	case len(found.configs) == 1:
		return found.configs[0], nil
	case len(found.configs) > 1:
		var names []string
		for _, c := range found.configs {
			names = append(names, c.path)
		}
		return configText{}, fmt.Errorf("%s holds several configurations: %s; name one file with --config.file", path, strings.Join(names, ", "))
	case len(found.others) > 0:
		return configText{}, fmt.Errorf("%s: no ConfigMap or Secret has the key %s; there are %s", path, configName, strings.Join(found.others, "; "))
	}
	return configText{}, fmt.Errorf("%s holds neither %s nor a ConfigMap or Secret with this key", path, configName)
}

// inManifests finds the ConfigMaps and Secrets of a file. It returns nil if the file does not hold objects of Kubernetes.
func inManifests(path string, text []byte) *holders {
	var out *holders
	for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var doc yaml.Node
		if err := d.Decode(&doc); err != nil { // its end, or a mistake that loading tells
			return out
		}
		if len(doc.Content) == 0 || field(doc.Content[0], "kind") == nil || field(doc.Content[0], "apiVersion") == nil {
			continue
		}
		if out == nil {
			out = &holders{}
		}
		out.add(path, doc.Content[0])
	}
}

// add adds an object, or those of a list.
func (h *holders) add(path string, object *yaml.Node) {
	if items := field(object, "items"); items != nil {
		for _, item := range items.Content {
			h.add(path, item)
		}
		return
	}
	kind := field(object, "kind")
	if kind == nil || kind.Value != "ConfigMap" && kind.Value != "Secret" {
		return
	}
	name := kind.Value
	if n := field(field(object, "metadata"), "name"); n != nil {
		name += " " + n.Value
	}
	keys := map[string]bool{}
	for _, of := range []string{"data", "stringData"} {
		values := field(object, of)
		if values == nil || values.Kind != yaml.MappingNode {
			continue
		}
		for i := 0; i+1 < len(values.Content); i += 2 {
			keys[values.Content[i].Value] = true
		}
		if value := field(values, configName); value != nil {
			h.configs = append(h.configs, configOf(path, name, value, kind.Value == "Secret" && of == "data"))
			return
		}
	}
	h.others = append(h.others, fmt.Sprintf("%s with the keys %s", name, strings.Join(slices.Sorted(maps.Keys(keys)), ", ")))
}

// configOf returns the configuration that is the value of a key. The lines of a literal block (`|`) are lines of the file.
func configOf(path, name string, value *yaml.Node, encoded bool) configText {
	c := configText{path: fmt.Sprintf("%s, %s of %s", path, configName, name), text: []byte(value.Value), manifest: true}
	switch {
	case encoded:
		if text, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(value.Value), "")); err == nil {
			c.text = text
		}
	case value.Style&yaml.LiteralStyle != 0:
		c.path, c.text = path, append(bytes.Repeat([]byte("\n"), value.Line), c.text...)
	}
	return c
}

// field returns the value of a key, nil if there is none.
func field(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			if v := n.Content[i+1]; v.Kind == yaml.AliasNode {
				return v.Alias
			}
			return n.Content[i+1]
		}
	}
	return nil
}
