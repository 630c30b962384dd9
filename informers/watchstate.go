package informers

import (
	"cmp"
	"slices"
	"time"

	"k8s.io/client-go/tools/cache"

	"promrelay/targets"
)

// The methods below say how complete the stores of a resource are.

// ready reports whether all objects were listed, or there is nothing to wait for.
func (w *watched) ready() bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.off != "" {
		return w.off != notBegun
	}
	for _, p := range w.parts {
		if p.refused == "" && !p.synced() {
			return false
		}
	}
	return true
}

// listed reports whether all objects were listed, so that one that is not in a store does not exist.
func (w *watched) listed() bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	for _, p := range w.parts {
		if !p.synced() {
			return false
		}
	}
	return w.off == "" && len(w.parts) > 0
}

// why says why the resource is not watched, or why its changes do not arrive. It is empty if all is well.
func (w *watched) why() string {
	w.mu.RLock()
	defer w.mu.RUnlock()
	why := w.off
	for _, p := range w.parts {
		why = cmp.Or(why, p.refused, p.silent)
	}
	return why
}

// isAway reports whether changes do not arrive because the API server does not answer.
func (w *watched) isAway() bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.off != "" {
		return w.state == offAway
	}
	away := false
	for _, p := range w.parts {
		if p.refused != "" || p.silent != "" && !p.away {
			return false // there is another reason
		}
		away = away || p.silent != ""
	}
	return away
}

// unheard reports whether the resource is wanted and its changes do not arrive.
func (w *watched) unheard() bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.off != "" {
		return w.state == offFailed || w.state == offAway
	}
	return slices.ContainsFunc(w.parts, func(p *part) bool { return p.refused != "" || p.silent != "" })
}

// stateLocked is the state of the watch for people.
func (w *watched) stateLocked() targets.WatchState {
	switch {
	case w.off == notBegun:
		return targets.WatchUnneeded
	case w.off != "" && w.state == offAbsent:
		return targets.WatchAbsent
	case w.off != "" && w.state == offByDesign:
		return targets.WatchOff
	case w.off != "":
		return targets.WatchInterrupted
	case slices.ContainsFunc(w.parts, func(p *part) bool { return p.refused != "" }):
		return targets.WatchRefused
	case slices.ContainsFunc(w.parts, func(p *part) bool { return p.silent != "" }):
		return targets.WatchInterrupted
	case slices.ContainsFunc(w.parts, func(p *part) bool { return !p.synced() }):
		return targets.WatchListing
	}
	return targets.Watched
}

// noteState notes since when the watch has its state. It is called after each change of the state.
func (w *watched) noteState() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noteStateLocked()
}

func (w *watched) noteStateLocked() {
	if now := w.stateLocked(); now != w.shown {
		w.shown, w.since = now, time.Now()
	}
}

// status returns the state of the watch for people.
func (w *watched) status() targets.Watch {
	w.noteState()
	why := w.why()
	w.mu.RLock()
	defer w.mu.RUnlock()
	out := targets.Watch{Resource: w.Name, Group: w.Group, State: w.shown, Reason: why, Watches: len(w.parts), Since: w.since}
	for _, p := range w.parts {
		out.Objects += len(p.store.ListKeys())
	}
	return out
}

// The methods below read all stores of a resource.

func (w *watched) each() []cache.Indexer {
	w.mu.RLock()
	defer w.mu.RUnlock()
	out := make([]cache.Indexer, len(w.parts))
	for i, p := range w.parts {
		out[i] = p.store
	}
	return out
}

// GetByKey returns an object from whichever store has it.
func (w *watched) GetByKey(key string) (any, bool, error) {
	for _, s := range w.each() {
		if obj, ok, err := s.GetByKey(key); ok || err != nil {
			return obj, ok, err
		}
	}
	return nil, false, nil
}

// indexed returns the keys of the objects that an index has under a value.
func (w *watched) indexed(index, value string) []string {
	var out []string
	for _, s := range w.each() {
		keys, err := s.IndexKeys(index, value)
		if err == nil {
			out = append(out, keys...)
		}
	}
	return out
}

// keys returns the keys of all objects.
func (w *watched) keys() []string {
	var out []string
	for _, s := range w.each() {
		out = append(out, s.ListKeys()...)
	}
	return out
}
