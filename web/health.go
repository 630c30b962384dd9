package web

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// stalledAfter is how long a loop may take for one turn before /-/healthy reports an error. It is long, because a restart helps only if a
// loop hangs: a disk that writes slowly or a first list of a large cluster must not end a relay that works.
const stalledAfter = 10 * time.Minute

// healthy answers 200 while the relay starts, and while all loops advance.
func (s *Server) healthy(w http.ResponseWriter, _ *http.Request) {
	if src := s.sources.Load(); src != nil && src.Turned != nil {
		if stalled := stalledLoops(src.Turned(), time.Now()); len(stalled) > 0 {
			say(w, http.StatusServiceUnavailable, "promrelay is not healthy. These have stopped: "+strings.Join(stalled, ", ")+".")
			return
		}
	}
	say(w, http.StatusOK, "promrelay is healthy.")
}

// stalledLoops are the names of loops that turned too long ago. A loop that never turned has not begun.
func stalledLoops(turned map[string]time.Time, now time.Time) (out []string) {
	for _, name := range slices.Sorted(maps.Keys(turned)) {
		if at := turned[name]; !at.IsZero() && now.Sub(at) >= stalledAfter {
			out = append(out, name+" ("+before(now, at)+")")
		}
	}
	return out
}

// ready answers 200 while the log accepts samples, after the first lists of objects were read or the wait for them was long enough.
func ready(w http.ResponseWriter, _ *http.Request, src *Sources) {
	remark := ""
	var err error
	if src.Working != nil {
		err = src.Working()
	}
	if err == nil && src.FirstLists != nil {
		remark, err = src.FirstLists()
	}
	if err != nil {
		say(w, http.StatusServiceUnavailable, "promrelay is not ready: "+err.Error())
		return
	}
	say(w, http.StatusOK, strings.TrimSpace("promrelay is ready. "+remark))
}
