package informers

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// readyWithin is how long the relay waits for the first lists. Then it is ready without them: it delivers what the log holds, and
// scrapes the other jobs.
const readyWithin = 30 * time.Second

// firstLists knows whether all resources that the configuration needs were listed once.
type firstLists struct {
	mu      sync.Mutex // guards what follows
	begun   time.Time  // zero before Run
	read    bool       // nothing was missing, at some time
	missing []string   // resources that were not listed yet
}

func (f *firstLists) start() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begun = time.Now()
}

// set notes which resources were not listed yet.
func (f *firstLists) set(missing []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.missing, f.read = missing, f.read || len(missing) == 0
}

// Known reports whether all resources that the configuration needs were listed once: an object that is not known does not exist.
func (d *Discovery) Known() bool {
	d.first.mu.Lock()
	defer d.first.mu.Unlock()
	return d.first.read
}

// Ready returns an error while discovery is not ready: it waits for the first lists, for half a minute at most. Once it is ready, the
// remark says in which state.
func (d *Discovery) Ready() (remark string, err error) {
	d.first.mu.Lock()
	defer d.first.mu.Unlock()
	why := d.outage.Line()
	if why == "" {
		why = "not listed yet: " + strings.Join(d.first.missing, ", ")
	}
	switch {
	case d.first.read:
		return "The first lists of objects were read.", nil
	case d.first.begun.IsZero():
		return "", errors.New("discovery has not begun")
	case time.Since(d.first.begun) < readyWithin:
		return "", fmt.Errorf("the first lists of objects are not read yet: %s", why)
	}
	return fmt.Sprintf("The first lists of objects were not read within %s: %s.", readyWithin, why), nil
}

// unlisted returns the names of the resources that are wanted and were not listed yet.
func (w *worker) unlisted() (out []string) {
	if !w.applied {
		return []string{"the configuration"}
	}
	for name, watch := range w.watched {
		if watch.wanted() && (!watch.ready() || watch.isAway() && !watch.listed()) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
