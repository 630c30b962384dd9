package manifests

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/zap"
)

// maxEntries is how many files and directories are looked at: a link may lead anywhere.
const maxEntries = 200_000

// listing is the content of a directory of manifests.
type listing struct {
	root     os.FileInfo
	paths    []string // of the files, sorted
	dirs     []string // the directories they are in, without links
	problems []string
	hidden   []string // what could not be read: directories, and links that lead nowhere
	entries  int
}

// hides reports whether a path is in a directory that could not be read.
func (l *listing) hides(path string) bool {
	return slices.ContainsFunc(l.hidden, func(dir string) bool { return path == dir || strings.HasPrefix(path, dir+string(filepath.Separator)) })
}

// list walks the directory. It follows links, because tools swap them. It returns an error if the directory is missing, or if an empty
// one is in its place, as happens while a volume is mounted again.
func (m *Directory) list() (*listing, error) {
	root, err := os.Stat(m.dir)
	switch {
	case err != nil:
		return nil, err
	case !root.IsDir():
		return nil, fmt.Errorf("%s is not a directory", m.dir)
	}
	l := &listing{root: root}
	if err := l.walk(m.dir); err != nil {
		return nil, err
	}
	if len(l.paths) == 0 && len(m.files) > 0 && m.root != nil && !os.SameFile(m.root, root) {
		return nil, fmt.Errorf("%s is another directory than before, and an empty one", m.dir)
	}
	slices.Sort(l.paths)
	return l, nil
}

// walk adds the content of a directory. It reads each directory once, on the first path that leads there, so links cannot form a loop.
func (l *listing) walk(dir string) error {
	own, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	if slices.Contains(l.dirs, own) {
		l.problems = append(l.problems, fmt.Sprintf("%s leads to %s, which is read already", dir, own))
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	l.dirs = append(l.dirs, own)
	for _, e := range entries {
		if l.entries++; l.entries > maxEntries {
			return fmt.Errorf("%s holds more than %d files and directories: does a link lead out of it?", dir, maxEntries)
		}
		if strings.HasPrefix(e.Name(), ".") { // ..data of a mounted ConfigMap, and what editors leave
			continue
		}
		if err := l.entry(filepath.Join(dir, e.Name()), e); err != nil {
			return err
		}
	}
	return nil
}

// entry adds one file or directory. An error makes the whole list useless.
func (l *listing) entry(path string, e fs.DirEntry) error {
	is := e.Type()
	if is&fs.ModeSymlink != 0 {
		info, err := os.Stat(path)
		if err != nil {
			l.problems, l.hidden = append(l.problems, err.Error()), append(l.hidden, path)
			return nil
		}
		is = info.Mode()
	}
	switch {
	case is.IsDir():
		err := l.walk(path)
		if err != nil && l.entries <= maxEntries {
			l.problems, l.hidden = append(l.problems, err.Error()), append(l.hidden, path)
			return nil
		}
		return err
	case slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)):
		l.paths = append(l.paths, path)
	}
	return nil
}

// follow watches the directories that were read, and the parent of the root: a change there shows that a link was swapped.
func (m *Directory) follow(w *fsnotify.Watcher) {
	want := slices.Clone(m.dirs)
	if parent, err := filepath.Abs(filepath.Dir(filepath.Clean(m.dir))); err == nil {
		want = append(want, parent)
	}
	have := w.WatchList()
	for _, dir := range have {
		if !slices.Contains(want, dir) {
			_ = w.Remove(dir) // it may be gone by itself
		}
	}
	for _, dir := range want {
		if slices.Contains(have, dir) {
			continue
		}
		if err := w.Add(dir); err != nil {
			m.log.Debug("directory not watched, it is read every few seconds", zap.String("directory", dir), zap.NamedError("err", err))
		}
	}
}

// concerns reports whether an event is about the directory or its content, and not about one of its siblings.
func (m *Directory) concerns(path string) bool {
	dir, err := filepath.Abs(m.dir)
	if err != nil || path == dir {
		return true
	}
	return slices.ContainsFunc(m.dirs, func(d string) bool { return strings.HasPrefix(path, d+string(filepath.Separator)) || path == d })
}
