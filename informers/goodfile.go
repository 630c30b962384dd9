package informers

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"

	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"promrelay/targets"
)

// good is what a file holds: of the monitor's metadata what tells it from others, and its spec.
type good struct {
	APIVersion string          `json:"apiVersion"`
	Kind       targets.Kind    `json:"kind"`
	Metadata   goodMeta        `json:"metadata"`
	Spec       json.RawMessage `json:"spec"`
}

type goodMeta struct {
	Name      string    `json:"name"`
	Namespace string    `json:"namespace"`
	UID       types.UID `json:"uid,omitempty"` // none in manifests
}

// goodBytes is the longest file that is read; etcd takes less.
const goodBytes = 4 << 20

var (
	goodFile = regexp.MustCompile(`^(servicemonitor|podmonitor|probe|scrapeconfig)-[0-9a-f]{32}\.json$`)
	tempFile = regexp.MustCompile(`^\.(servicemonitor|podmonitor|probe|scrapeconfig)-[0-9a-f]{32}\.json\..*\.tmp$`)
)

// goodName is the name of a monitor's file. Names of monitors can be longer than those of files, and in manifests anything.
func goodName(o targets.Owner) string {
	hash := sha256.Sum256([]byte(o.Namespace + "/" + o.Name))
	return fmt.Sprintf("%s%x.json", goodPrefix(o.Kind), hash[:16])
}

func goodPrefix(k targets.Kind) string { return strings.ToLower(string(k)) + "-" }

// readGoods reads the files of a directory. What is wrong with one costs only that one.
func readGoods(dir string, log *zap.Logger) (map[string]runtime.Object, map[string][sha256.Size]byte) {
	objects, written := map[string]runtime.Object{}, map[string][sha256.Size]byte{}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("last good monitors cannot be read", zap.String("directory", dir), zap.Error(err))
	}
	for _, e := range entries {
		name := e.Name()
		switch {
		case tempFile.MatchString(name): // of a process that was killed
			_ = os.Remove(filepath.Join(dir, name))
		case goodFile.MatchString(name):
			o, sum, err := readGood(filepath.Join(dir, name))
			written[name] = sum
			if err != nil {
				log.Warn("a last good monitor cannot be read, go on without it", zap.String("file", filepath.Join(dir, name)), zap.Error(err))
				continue
			}
			objects[name] = o
		}
	}
	return objects, written
}

func encodeGood(o runtime.Object) ([]byte, error) {
	m, err := metaOf(o)
	if err != nil {
		return nil, err
	}
	whole, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	g := good{}
	if err := json.Unmarshal(whole, &g); err != nil {
		return nil, err
	}
	r := resourceFor(o)
	if r == nil {
		return nil, fmt.Errorf("%T is no monitor", o)
	}
	g.APIVersion, g.Kind = r.groupVersion(), r.kind
	g.Metadata = goodMeta{Name: m.GetName(), Namespace: m.GetNamespace(), UID: m.GetUID()}
	return json.MarshalIndent(g, "", "  ")
}

// readGood reads a file. The sum is zeros with an error, so that the file is not taken for one that is as it should be.
func readGood(path string) (o runtime.Object, sum [sha256.Size]byte, err error) {
	text, err := readRegular(path, goodBytes)
	if err != nil {
		return nil, sum, err
	}
	g := good{}
	if err := json.Unmarshal(text, &g); err != nil {
		return nil, sum, err
	}
	owner := targets.Owner{Kind: g.Kind, Namespace: g.Metadata.Namespace, Name: g.Metadata.Name}
	r := monitorResource(g.Kind)
	if r == nil || goodName(owner) != filepath.Base(path) {
		return nil, sum, fmt.Errorf("it is named as another than %s", owner)
	}
	o = reflect.New(reflect.TypeOf(r.example).Elem()).Interface().(runtime.Object)
	if err := json.Unmarshal(text, o); err != nil {
		return nil, sum, err
	}
	return o, sha256.Sum256(text), nil
}

// replaceFile writes a file aside, and puts it in its place when it is on the disk.
func replaceFile(dir, name string, text []byte) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+name+".*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
