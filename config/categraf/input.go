package categraf

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// file is a file of categraf: one of the tree, or a key of a ConfigMap or Secret.
type file struct {
	position        // where it is: the line before its first one
	name     string // such as cpu.toml
	dir      string // directory of a file of the tree
	object   string // the object that it is a key of; empty for a file of the tree
	text     []byte
	quoted   bool // its text is in one line of the manifest
}

// at is the place of a line of the file.
func (f file) at(line int) position {
	if f.quoted {
		line = 1
	}
	return position{f.file, f.line + line}
}

// input is all that a tree holds.
type input struct {
	files     []file
	workloads []workload
}

// fileLimit bounds the size of a file that is read.
const fileLimit = 16 << 20

// read reads all files of a tree that may be categraf's.
func (t *translation) read(tree fs.FS) (*input, error) {
	in := &input{}
	err := fs.WalkDir(tree, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if strings.HasPrefix(d.Name(), ".") && p != "." {
				return fs.SkipDir
			}
			return nil
		}
		ext := path.Ext(p)
		if !slices.Contains([]string{".toml", ".yaml", ".yml", ".json"}, ext) {
			return nil
		}
		info, err := fs.Stat(tree, p)
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			t.report.add(position{p, 1}, path.Base(p), NoCounterpart, "it is no file that can be read, and was left out")
			return nil
		}
		if info.Size() > fileLimit {
			t.report.add(position{p, 1}, path.Base(p), NoCounterpart, "the file has more than %d bytes and was not read", fileLimit)
			return nil
		}
		text, err := fs.ReadFile(tree, p)
		if err != nil {
			return err
		}
		f := file{position: position{p, 0}, name: path.Base(p), dir: path.Dir(p), text: text}
		if ext == ".toml" {
			in.files = append(in.files, f)
			return nil
		}
		t.documents(in, f)
		return nil
	})
	return in, err
}

// documents adds the objects and scrape files of a YAML or JSON file.
func (t *translation) documents(in *input, f file) {
	d := yaml.NewDecoder(bytes.NewReader(f.text))
	for {
		var doc yaml.Node
		if err := d.Decode(&doc); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.report.add(f.at(1), f.name, NoCounterpart, notRead+"%v", err)
			return
		}
		if len(doc.Content) > 0 {
			in.document(f, doc.Content[0])
		}
	}
}

func (in *input) document(f file, doc *yaml.Node) {
	kind := scalar(child(doc, "kind"))
	switch {
	case strings.HasSuffix(kind, "List"):
		if items := child(doc, "items"); items != nil {
			for _, item := range items.Content {
				in.document(f, item)
			}
		}
	case kind == "ConfigMap":
		in.keys(f, doc, child(doc, "data"), false)
	case kind == "Secret":
		in.keys(f, doc, child(doc, "stringData"), false)
		in.keys(f, doc, child(doc, "data"), true)
	case kind == "DaemonSet" || kind == "Deployment" || kind == "StatefulSet":
		in.workloads = append(in.workloads, newWorkload(doc))
	case kind == "" && child(doc, "scrape_configs") != nil:
		f.text = encoded(doc, f.text)
		in.files = append(in.files, f)
	}
}

// encoded is a document of a file as text. A file of one document is left as it is, so that lines and comments stay.
func encoded(doc *yaml.Node, text []byte) []byte {
	if !bytes.Contains(text, []byte("\n---")) {
		return text
	}
	out, err := yaml.Marshal(doc)
	if err != nil {
		return text
	}
	return out
}

// keys adds the keys of a ConfigMap or Secret.
func (in *input) keys(f file, object, data *yaml.Node, base64ed bool) {
	if data == nil || data.Kind != yaml.MappingNode {
		return
	}
	name := scalar(child(child(object, "metadata"), "name"))
	for i := 0; i+1 < len(data.Content); i += 2 {
		key, value := data.Content[i], data.Content[i+1]
		text, line := value.Value, value.Line
		quoted := value.Style&yaml.LiteralStyle == 0
		if quoted {
			line--
		}
		if base64ed {
			decoded, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				continue
			}
			text = string(decoded)
		}
		in.files = append(in.files, file{position: position{f.file, line}, name: key.Value, object: name, text: []byte(text), quoted: quoted})
	}
}

// child is the value of a key of a mapping; nil if there is none.
func child(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func scalar(n *yaml.Node) string {
	if n == nil {
		return ""
	}
	return n.Value
}

// workload is a DaemonSet, Deployment or StatefulSet in which categraf may run.
type workload struct {
	Kind     string `yaml:"kind"`
	Metadata struct {
		Name string `yaml:"name"`
	} `yaml:"metadata"`
	Spec struct {
		Template struct {
			Spec podSpec `yaml:"spec"`
		} `yaml:"template"`
	} `yaml:"spec"`
}

type podSpec struct {
	Containers []struct {
		Env []struct {
			Name      string `yaml:"name"`
			Value     string `yaml:"value"`
			ValueFrom struct {
				FieldRef struct {
					FieldPath string `yaml:"fieldPath"`
				} `yaml:"fieldRef"`
			} `yaml:"valueFrom"`
		} `yaml:"env"`
		VolumeMounts []struct {
			Name      string `yaml:"name"`
			MountPath string `yaml:"mountPath"`
			SubPath   string `yaml:"subPath"`
		} `yaml:"volumeMounts"`
	} `yaml:"containers"`
	Volumes []struct {
		Name      string `yaml:"name"`
		ConfigMap struct {
			Name  string `yaml:"name"`
			Items []struct {
				Key  string `yaml:"key"`
				Path string `yaml:"path"`
			} `yaml:"items"`
		} `yaml:"configMap"`
		Secret struct {
			Name string `yaml:"secretName"`
		} `yaml:"secret"`
	} `yaml:"volumes"`
}

// newWorkload reads what can be read of an object.
func newWorkload(doc *yaml.Node) (w workload) {
	_ = doc.Decode(&w) // a field of another type is left out
	return w
}

// mounts returns the paths at which the pod has a key of an object.
func (w workload) mounts(object, key string) (out []string) {
	pod := w.Spec.Template.Spec
	for _, v := range pod.Volumes {
		if v.ConfigMap.Name != object && v.Secret.Name != object {
			continue
		}
		file, kept := key, len(v.ConfigMap.Items) == 0
		for _, item := range v.ConfigMap.Items {
			if item.Key == key {
				file, kept = item.Path, true
			}
		}
		for _, c := range pod.Containers {
			for _, m := range c.VolumeMounts {
				switch {
				case m.Name != v.Name || !kept:
				case m.SubPath == "":
					out = append(out, path.Join(m.MountPath, file))
				case m.SubPath == file:
					out = append(out, m.MountPath)
				}
			}
		}
	}
	return out
}
