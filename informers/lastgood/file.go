package lastgood

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/prometheus-operator/prometheus-operator/pkg/client/versioned/scheme"
	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"promrelay/informers/files"
	"promrelay/targets"
)

// file is the content of a file, as JSON: a monitor with the part of its metadata that identifies it.
type file struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Metadata   metadata        `json:"metadata"`
	Spec       json.RawMessage `json:"spec"`
}

type metadata struct {
	Name      string    `json:"name"`
	Namespace string    `json:"namespace"`
	UID       types.UID `json:"uid,omitempty"` // empty for one of a directory of manifests
}

// maxBytes is the size of the largest file that is read. The limit of etcd is lower.
const maxBytes = 4 << 20

var (
	monitorFile   = regexp.MustCompile(`^(servicemonitor|podmonitor|probe|scrapeconfig)-[0-9a-f]{32}\.json$`)
	temporaryFile = regexp.MustCompile(`^\.(servicemonitor|podmonitor|probe|scrapeconfig)-[0-9a-f]{32}\.json\..*\.tmp$`)
)

// fileName is the name of a monitor's file. It contains a hash, because names of monitors can be longer than names of files.
func fileName(o targets.Owner) string {
	hash := sha256.Sum256([]byte(o.Namespace + "/" + o.Name))
	return fmt.Sprintf("%s%x.json", filePrefix(o.Kind), hash[:16])
}

func filePrefix(k targets.Kind) string { return strings.ToLower(string(k)) + "-" }

// readDirectory reads the files of a directory. It returns their contents, and the checksums of those that can be read.
func readDirectory(dir string, log *zap.Logger) (map[string]runtime.Object, map[string][sha256.Size]byte) {
	objects, written := map[string]runtime.Object{}, map[string][sha256.Size]byte{}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("last good monitors cannot be read", zap.String("directory", dir), zap.NamedError("err", err))
	}
	for _, e := range entries {
		name := e.Name()
		switch {
		case temporaryFile.MatchString(name): // of a process that was killed
			_ = os.Remove(filepath.Join(dir, name))
		case monitorFile.MatchString(name):
			o, sum, err := readFile(filepath.Join(dir, name))
			written[name] = sum
			if err != nil {
				log.Warn("a last good monitor cannot be read, go on without it", zap.String("file", filepath.Join(dir, name)), zap.NamedError("err", err))
				continue
			}
			objects[name] = o
		}
	}
	return objects, written
}

// encode returns the text of a monitor's file.
func encode(o runtime.Object) ([]byte, error) {
	m, err := meta.Accessor(o)
	if err != nil {
		return nil, err
	}
	kinds, _, err := scheme.Scheme.ObjectKinds(o)
	if err != nil {
		return nil, err
	}
	whole, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	f := file{}
	if err := json.Unmarshal(whole, &f); err != nil {
		return nil, err
	}
	f.APIVersion, f.Kind = kinds[0].ToAPIVersionAndKind()
	f.Metadata = metadata{Name: m.GetName(), Namespace: m.GetNamespace(), UID: m.GetUID()}
	return json.MarshalIndent(f, "", "  ")
}

// readFile reads a file. With an error the sum is zeros, so that the file is written again.
func readFile(path string) (o runtime.Object, sum [sha256.Size]byte, err error) {
	text, err := files.ReadRegular(path, maxBytes)
	if err != nil {
		return nil, sum, err
	}
	f := file{}
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, sum, err
	}
	owner := targets.Owner{Kind: targets.Kind(f.Kind), Namespace: f.Metadata.Namespace, Name: f.Metadata.Name}
	if fileName(owner) != filepath.Base(path) {
		return nil, sum, fmt.Errorf("its name is not that of a file of %s", owner)
	}
	if o, err = scheme.Scheme.New(schema.FromAPIVersionAndKind(f.APIVersion, f.Kind)); err != nil {
		return nil, sum, err
	}
	if err := json.Unmarshal(text, o); err != nil {
		return nil, sum, err
	}
	return o, sha256.Sum256(text), nil
}
