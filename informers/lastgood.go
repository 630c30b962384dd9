package informers

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"promrelay/targets"
)

// lastGood remembers each monitor as it was when it was accepted last, in memory and in a directory with a file for each.
// The worker's calls do not touch the disk, but for open. A file holds what the monitor says: its references to Secrets, and
// none of their values.
type lastGood struct {
	log  *zap.Logger
	wake chan struct{}

	mu      sync.Mutex
	dir     string                       // empty: nothing is remembered
	objects map[string]runtime.Object    // by the name of the file
	written map[string][sha256.Size]byte // what the files hold; zeros of one that cannot be read
	stale   map[string]bool              // files that are not as objects say
	failing bool                         // the last one could not be written
}

const (
	goodRetry = 30 * time.Second // until it is tried again to write
	goodEnd   = 2 * time.Second  // for what is to be written when the relay stops
)

func newLastGood(log *zap.Logger) *lastGood {
	return &lastGood{log: log, wake: make(chan struct{}, 1)}
}

// open makes a directory the one in use and reads it; with "" nothing is remembered any more. What is known already stays
// known, and is written to the new directory.
func (g *lastGood) open(dir string) {
	g.mu.Lock()
	same := g.dir == dir
	g.mu.Unlock()
	if same {
		return
	}
	objects, written := map[string]runtime.Object{}, map[string][sha256.Size]byte{}
	if dir != "" {
		objects, written = readGoods(dir, g.log)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stale = map[string]bool{}
	if dir != "" {
		for name, o := range g.objects {
			objects[name], g.stale[name] = o, true
		}
	}
	g.dir, g.objects, g.written = dir, objects, written
	g.rouse()
}

// keep remembers a monitor that was accepted. The object is not to be changed afterwards.
func (g *lastGood) keep(owner targets.Owner, o any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	obj, ok := o.(runtime.Object)
	if g.dir == "" || !ok {
		return
	}
	name := goodName(owner)
	if g.objects[name] == obj {
		return
	}
	g.objects[name], g.stale[name] = obj, true
	g.rouse()
}

// find returns a monitor that is now as in rejected as it was when it was accepted, nil if it never was.
func (g *lastGood) find(owner targets.Owner, rejected metav1.Object) runtime.Object {
	g.mu.Lock()
	defer g.mu.Unlock()
	o := g.objects[goodName(owner)] // nil also where nothing is remembered
	if o == nil {
		return nil
	}
	if m, err := metaOf(o); err != nil || m.GetUID() != rejected.GetUID() { // another one of the same name
		return nil
	}
	return o
}

// forget lets go of a monitor.
func (g *lastGood) forget(owner targets.Owner) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dir != "" {
		g.dropLocked(goodName(owner))
	}
}

// sweep lets go of all monitors of a kind but these.
func (g *lastGood) sweep(kind targets.Kind, wanted []targets.Owner) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dir == "" {
		return
	}
	names := map[string]bool{}
	for _, owner := range wanted {
		names[goodName(owner)] = true
	}
	for name := range g.written {
		if !names[name] && strings.HasPrefix(name, goodPrefix(kind)) {
			g.dropLocked(name)
		}
	}
	for name := range g.objects {
		if !names[name] && strings.HasPrefix(name, goodPrefix(kind)) {
			g.dropLocked(name)
		}
	}
}

func (g *lastGood) dropLocked(name string) {
	_, written := g.written[name]
	if g.objects[name] != nil || written { // or is being written
		delete(g.objects, name)
		g.stale[name] = true
		g.rouse()
	}
}

func (g *lastGood) rouse() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// run writes what is not on the disk, until ctx ends; then what is left, within goodEnd.
func (g *lastGood) run(ctx context.Context) {
	for {
		var retry <-chan time.Time
		if !g.flush(ctx.Done()) {
			retry = time.After(goodRetry)
		}
		select {
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodEnd)
			defer cancel()
			g.flush(end.Done())
			return
		case <-g.wake:
			if retry == nil {
				continue
			}
			select { // the disk is not asked more often for there being more to write
			case <-ctx.Done():
			case <-retry:
			}
		case <-retry:
		}
	}
}

// flush writes until all is written, until something cannot be, which it says, or until stop is closed.
func (g *lastGood) flush(stop <-chan struct{}) (ok bool) {
	for {
		select {
		case <-stop:
			return true
		default:
		}
		dir, name, o := g.next()
		if name == "" {
			return true
		}
		if err := g.write(dir, name, o); err != nil {
			g.fail(name, err)
			return false
		}
	}
}

// next takes a file that is not as it should be. Its object is nil if it is to go.
func (g *lastGood) next() (dir, name string, o runtime.Object) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for name := range g.stale {
		delete(g.stale, name)
		return g.dir, name, g.objects[name]
	}
	return "", "", nil
}

func (g *lastGood) fail(name string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stale[name] = true
	if !g.failing {
		g.log.Warn("last good monitors cannot be written", zap.String("directory", g.dir), zap.Error(err))
	}
	g.failing = true
}

// write makes a file hold an object, or takes it away.
func (g *lastGood) write(dir, name string, o runtime.Object) error {
	var text []byte
	var err error
	if o != nil {
		if text, err = encodeGood(o); err != nil {
			return err
		}
	}
	sum := sha256.Sum256(text)
	g.mu.Lock()
	was, there := g.written[name]
	g.mu.Unlock()
	switch {
	case o == nil:
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	case there && was == sum:
		return nil
	default:
		if err := replaceFile(dir, name, text); err != nil {
			return err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failing {
		g.log.Info("last good monitors are written again", zap.String("directory", dir))
	}
	g.failing = false
	switch {
	case g.dir != dir: // it was changed meanwhile; all is stale
	case o == nil:
		delete(g.written, name)
	default:
		g.written[name] = sum
	}
	return nil
}
