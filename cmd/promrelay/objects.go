package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"promrelay/config/agent"
)

// objects are the objects of a file, as JSON.
type objects []json.RawMessage

// readObjects reads the objects of a file of YAML or JSON, also those in lists. "-" is standard input.
func readObjects(path string) (out objects, err error) {
	in := io.Reader(os.Stdin)
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	docs := utilyaml.NewYAMLReader(bufio.NewReader(in))
	for n := 1; ; n++ {
		doc, err := docs.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		text, err := yaml.YAMLToJSON(doc)
		if err != nil {
			return nil, fmt.Errorf("%s: document %d: %w", path, n, err)
		}
		var list struct {
			Items []json.RawMessage `json:"items"`
		}
		if err := json.Unmarshal(text, &list); err == nil && list.Items != nil {
			out = append(out, list.Items...)
		} else if string(text) != "null" {
			out = append(out, text)
		}
	}
}

// header is what all objects have.
type header struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
}

func headerOf(text json.RawMessage) (h header) {
	_ = json.Unmarshal(text, &h) // an object without these fields is of no kind
	return h
}

func (o objects) ofKind(kind string) objects {
	return slices.DeleteFunc(slices.Clone(o), func(text json.RawMessage) bool { return headerOf(text).Kind != kind })
}

// kinds names the kinds of the objects.
func (o objects) kinds() string {
	var out []string
	for _, text := range o {
		if k := headerOf(text).Kind; k != "" && !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	if out == nil {
		return "no objects"
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// values are the values of Secrets and ConfigMaps of a file, by namespace. The namespace is empty for an object that has none.
type values map[string]map[agent.Ref]string

func valuesOf(all objects) values {
	out := values{}
	for _, text := range append(all.ofKind("Secret"), all.ofKind("ConfigMap")...) {
		var o struct {
			header     `json:",inline"`
			Data       map[string]string `json:"data"`
			StringData map[string]string `json:"stringData"`
		}
		if err := json.Unmarshal(text, &o); err != nil {
			continue // as if it were not there, which the report tells
		}
		if out[o.Namespace] == nil {
			out[o.Namespace] = map[agent.Ref]string{}
		}
		secret := o.Kind == "Secret"
		for key, v := range o.Data {
			if decoded, err := base64.StdEncoding.DecodeString(v); secret && err == nil {
				v = string(decoded)
			}
			out[o.Namespace][agent.Ref{ConfigMap: !secret, Name: o.ObjectMeta.Name, Key: key}] = v
		}
		for key, v := range o.StringData {
			out[o.Namespace][agent.Ref{Name: o.ObjectMeta.Name, Key: key}] = v
		}
	}
	return out
}

func (v values) get(namespace string, r agent.Ref) (string, error) {
	for _, ns := range []string{namespace, ""} {
		if value, ok := v[ns][r]; ok {
			return value, nil
		}
	}
	return "", errors.New("the file does not hold it")
}
