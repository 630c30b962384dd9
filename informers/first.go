package informers

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// readyWithin is how long the first lists may take until the relay is ready without them: what is known from before is delivered, and
// other jobs are scraped.
const readyWithin = 30 * time.Second

// firstLists knows whether everything was listed once that the configuration needs.
type firstLists struct {
	mu      sync.Mutex
	begun   time.Time // zero before Run
	read    bool
	waiting []string // for what
}

func (f *firstLists) start() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begun = time.Now()
}

// set notes what is waited for; nothing once means that all was read.
func (f *firstLists) set(waiting []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting, f.read = waiting, f.read || len(waiting) == 0
}

// Known tells whether all that the configuration needs of the cluster was read once, so that what is not there is none.
func (d *Discovery) Known() bool {
	d.first.mu.Lock()
	defer d.first.mu.Unlock()
	return d.first.read
}

// Ready tells why the relay is not ready, as far as discovery goes: it waits for the first lists, for half a minute at most. What it is ready
// without is the remark.
func (d *Discovery) Ready() (remark string, err error) {
	d.first.mu.Lock()
	defer d.first.mu.Unlock()
	why := d.outage.Line()
	if why == "" {
		why = "not listed yet: " + strings.Join(d.first.waiting, ", ")
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

// unlisted are the resources that are wanted and were not listed yet.
func (d *Discovery) unlisted() (out []string) {
	if !d.applied {
		return []string{"the configuration"}
	}
	for name, w := range d.watched {
		if w.stop != nil && (!w.ready() || w.isAway() && !w.listed()) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
