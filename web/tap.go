package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"go.uber.org/zap"

	"promrelay/relay"
)

// Bounds of a tap, and what it has if the request does not say.
const (
	tapDuration, maxTapDuration = 10 * time.Second, 5 * time.Minute
	tapLimit, maxTapLimit       = 1000, 100_000 // samples
	maxTapSelectors             = 20
	tapRate                     = 10_000           // samples a second
	tapPatience                 = 10 * time.Second // in which the reader must take what was written
)

// tapQuery is what a request of /api/v1/tap asks for.
type tapQuery struct {
	destination string              // empty for all
	selectors   [][]*labels.Matcher // a series is shown if all matchers of one of them match; none means all series
	duration    time.Duration
	limit       int
	json        bool
	seen        int // series that were sent, also those that are not wanted
}

func newTapQuery(r *http.Request) (q tapQuery, err error) {
	q = tapQuery{destination: r.FormValue("destination"), duration: tapDuration, limit: tapLimit}
	if text := r.FormValue("duration"); text != "" {
		d, err := model.ParseDuration(text)
		if q.duration = time.Duration(d); err != nil || q.duration <= 0 || q.duration > maxTapDuration {
			return q, badParameter("duration", text, cmp.Or(err, fmt.Errorf("want more than 0 and at most %s", maxTapDuration)))
		}
	}
	if text := r.FormValue("limit"); text != "" {
		if q.limit, err = strconv.Atoi(text); err != nil || q.limit < 1 || q.limit > maxTapLimit {
			return q, badParameter("limit", text, fmt.Errorf("want 1 to %d samples", maxTapLimit))
		}
	}
	switch format := r.FormValue("format"); format {
	case "", "text":
	case "json":
		q.json = true
	default:
		return q, badParameter("format", format, errors.New("want text or json"))
	}
	asked := r.Form["match[]"]
	if len(asked) > maxTapSelectors {
		return q, apiError{badData, fmt.Errorf("%d parameters match[], want at most %d", len(asked), maxTapSelectors)}
	}
	for _, text := range asked {
		matchers, err := parseMatchers("match[]", text)
		if err != nil {
			return q, err
		}
		if len(matchers) > 0 {
			q.selectors = append(q.selectors, matchers)
		}
	}
	return q, nil
}

// wants reports whether a series is shown, and counts it.
func (q *tapQuery) wants(ls labels.Labels) bool {
	q.seen++
	if len(q.selectors) == 0 {
		return true
	}
	return slices.ContainsFunc(q.selectors, func(matchers []*labels.Matcher) bool {
		return !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(ls.Get(m.Name)) })
	})
}

// tapAPI answers /api/v1/tap: the samples that are sent at the moment, as they are sent. Its parameters are match[], destination, duration,
// limit and format.
func (s *Server) tapAPI(w http.ResponseWriter, r *http.Request) {
	tap, q, err := s.openTap(r)
	if err != nil {
		s.answer(w, nil, nil, err)
		return
	}
	defer tap.Close()
	defer func() { _ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) }() // the connection may serve other requests
	ctx, stop := context.WithTimeout(r.Context(), q.duration)
	defer stop()
	out := newTapWriter(w, q)
	why := endedByTime
	for out.shown < q.limit && why == endedByTime {
		found, err := tap.Next(ctx, q.wants)
		if err != nil { // the relay's own request cannot be decoded
			s.log.Warn("a tap leaves out a request", zap.NamedError("err", err))
			continue
		}
		if found == nil {
			break
		}
		if out.write(found) != nil {
			why = endedByReader
		}
	}
	if out.shown >= q.limit {
		why = endedByLimit
	}
	out.end(why, tap.Omitted(), q.seen)
}

// openTap opens the tap that a request asks for.
func (s *Server) openTap(r *http.Request) (Tap, tapQuery, error) {
	if !s.options.Tap {
		return nil, tapQuery{}, apiError{execution, errors.New("taps are off, since samples may be confidential: start promrelay with --web.enable-tap")}
	}
	src := s.sources.Load()
	if src == nil || src.Tap == nil {
		return nil, tapQuery{}, apiError{unavailable, errors.New("promrelay is starting")}
	}
	q, err := newTapQuery(r)
	if err != nil {
		return nil, q, err
	}
	tap, err := src.Tap(q.destination)
	switch {
	case errors.Is(err, relay.ErrNoDestination):
		err = apiError{badData, err}
	case errors.Is(err, relay.ErrTooManyTaps):
		err = apiError{unavailable, err}
	}
	return tap, q, err
}

// Why a tap ended.
const (
	endedByTime   = "duration"
	endedByLimit  = "limit"
	endedByReader = "reader"
)
