package web

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"promrelay/scrape"
	"promrelay/targets"
)

// apiMetadata is what a target says of a metric family.
type apiMetadata struct {
	Target labels.Labels    `json:"target"`
	Metric string           `json:"metric,omitempty"` // left out if the request names it
	Type   model.MetricType `json:"type"`
	Help   string           `json:"help"`
	Unit   string           `json:"unit"`
}

// Targets whose pages are read at the moment are asked again: busyTries times, after busyPause.
const (
	busyTries = 20
	busyPause = 50 * time.Millisecond
)

// metadataAPI answers /api/v1/targets/metadata. Its parameters are match_target, metric and limit.
func metadataAPI(r *http.Request, src *Sources) (any, []string, error) {
	limit := -1
	if text := r.FormValue("limit"); text != "" {
		var err error
		if limit, err = strconv.Atoi(text); err != nil {
			return nil, nil, apiError{badData, errors.New("limit must be a number")}
		}
	}
	matchers, err := parseMatchers("match_target", r.FormValue("match_target"))
	if err != nil {
		return nil, nil, err
	}
	m := metadata{src: src, metric: r.FormValue("metric"), limit: limit, out: []apiMetadata{}}
	asked := matching(src, matchers)
	for try := 0; try < busyTries && len(asked) > 0 && !m.full(); try++ {
		if try > 0 && !pause(r, busyPause) {
			break
		}
		asked = slices.DeleteFunc(asked, m.add)
	}
	var warnings []string
	if len(asked) > 0 && !m.full() {
		warnings = []string{fmt.Sprintf("%d targets are left out, since their pages were being read", len(asked))}
	}
	return m.out, warnings, nil
}

// matching returns the targets whose labels match, sorted by job and URL.
func matching(src *Sources, matchers []*labels.Matcher) (out []*targets.Target) {
	jobs := src.Targets.Jobs()
	slices.SortFunc(jobs, func(a, b *targets.Job) int { return strings.Compare(a.Name, b.Name) })
	for _, j := range jobs {
		all := src.Targets.Statuses(j.Name)
		slices.SortFunc(all, func(a, b scrape.Status) int { return strings.Compare(a.Target.URL, b.Target.URL) })
		for _, s := range all {
			if public := s.Target.Public(); !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(public.Get(m.Name)) }) {
				out = append(out, s.Target)
			}
		}
	}
	return out
}

// metadata collects the metadata of targets.
type metadata struct {
	src    *Sources
	metric string
	limit  int // negative for none
	out    []apiMetadata
}

// full reports whether the limit is reached. As in Prometheus's API, the families of the last target are not cut off.
func (m *metadata) full() bool { return m.limit >= 0 && len(m.out) >= m.limit }

// add adds the metadata of a target. False: its page is read at this moment.
func (m *metadata) add(t *targets.Target) bool {
	if m.full() {
		return true
	}
	found, ok := m.src.Targets.Metadata(t, m.metric)
	for _, f := range found {
		one := apiMetadata{Target: t.Public(), Metric: f.Family, Type: f.Type, Help: f.Help, Unit: f.Unit}
		if m.metric != "" {
			one.Metric = ""
		}
		m.out = append(m.out, one)
	}
	return ok
}

// pause waits. It returns false if the request has ended.
func pause(r *http.Request, d time.Duration) bool {
	select {
	case <-r.Context().Done():
		return false
	case <-time.After(d):
		return true
	}
}

// maxSelector bounds the length of a selector in bytes.
const maxSelector = 10_000

// parseMatchers reads a selector of series, such as up{job="shop"}. An empty one matches everything.
func parseMatchers(parameter, text string) ([]*labels.Matcher, error) {
	if text == "" {
		return nil, nil
	}
	if len(text) > maxSelector {
		return nil, badParameter(parameter, text, fmt.Errorf("it has %d bytes, want at most %d", len(text), maxSelector))
	}
	matchers, err := parser.NewParser(parser.Options{}).ParseMetricSelector(text)
	if err != nil {
		return nil, badParameter(parameter, text, err)
	}
	return matchers, nil
}
