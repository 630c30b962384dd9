package web

import (
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"promrelay/targets"
)

// statusPage is what status.html shows.
type statusPage struct {
	Build, Runtime, Loops, Flags []labels.Label
	Watches                      []watchRow
}

// watchRow is a kind of objects on the page.
type watchRow struct {
	targets.Watch
	Class, Ago string
}

func (s *Server) statusPage(w http.ResponseWriter, _ *http.Request, src *Sources) {
	now := time.Now()
	p := &statusPage{Build: s.buildPairs(), Runtime: s.runtimePairs(src, now)}
	for _, name := range slices.Sorted(maps.Keys(s.options.CommandLine)) {
		p.Flags = append(p.Flags, labels.Label{Name: "--" + name, Value: s.options.CommandLine[name]})
	}
	if src.Turned != nil {
		turned := src.Turned()
		for _, name := range slices.Sorted(maps.Keys(turned)) {
			p.Loops = append(p.Loops, labels.Label{Name: name, Value: before(now, turned[name])})
		}
	}
	if src.Watches != nil {
		for _, watch := range src.Watches() {
			p.Watches = append(p.Watches, watchRow{watch, classOfWatch(watch.State), before(now, watch.Since)})
		}
	}
	s.show(w, src, content{file: "status.html", title: "Status", active: "status", body: p})
}

func classOfWatch(s targets.WatchState) string {
	switch s {
	case targets.Watched:
		return "up"
	case targets.WatchRefused:
		return "down"
	case targets.WatchListing, targets.WatchInterrupted, targets.WatchAbsent:
		return "waiting"
	}
	return ""
}

func (s *Server) buildPairs() []labels.Label {
	b := s.build()
	return []labels.Label{
		{Name: "version", Value: b.Version},
		{Name: "revision", Value: b.Revision},
		{Name: "branch", Value: b.Branch},
		{Name: "Go", Value: b.GoVersion},
		{Name: "platform", Value: runtime.GOOS + "/" + runtime.GOARCH},
	}
}

func (s *Server) runtimePairs(src *Sources, now time.Time) []labels.Label {
	r := s.runtime(src)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	limit := "none"
	if r.GOMEMLIMIT < 1<<62 {
		limit = bytesOf(r.GOMEMLIMIT)
	}
	return []labels.Label{
		{Name: "host", Value: r.Hostname},
		{Name: "working directory", Value: r.CWD},
		{Name: "started", Value: r.StartTime.UTC().Format(time.DateTime) + " UTC"},
		{Name: "uptime", Value: seconds(now.Sub(r.StartTime))},
		{Name: "GOMAXPROCS", Value: strconv.Itoa(r.GOMAXPROCS)},
		{Name: "goroutines", Value: thousands(r.GoroutineCount)},
		{Name: "heap in use", Value: bytesOf(m.HeapInuse)},
		{Name: "memory from the system", Value: bytesOf(m.Sys)},
		{Name: "memory limit", Value: limit},
		{Name: "GOGC", Value: r.GOGC},
	}
}

// configPage is what config.html shows.
type configPage struct {
	Text   string
	Loaded time.Time
	Ago    string
}

func (s *Server) configPage(w http.ResponseWriter, _ *http.Request, src *Sources) {
	if src.Config == nil {
		say(w, http.StatusNotFound, "There is no configuration.")
		return
	}
	p := configPage{Text: src.Config()}
	if src.Loaded != nil {
		p.Loaded = src.Loaded()
		p.Ago = before(time.Now(), p.Loaded)
	}
	s.show(w, src, content{file: "config.html", title: "Configuration", active: "config", body: p})
}
