package relay

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// watch notes each request that has a series, to find out what went wrong.
type watch struct {
	http.RoundTripper
	series string // what the labels must hold
	lines  []string
	begin  time.Time
}

func (x *watch) RoundTrip(req *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(req.Body)
	req.Body = io.NopCloser(bytes.NewReader(body))
	r := &request{version: version1, payload: body}
	if strings.Contains(req.Header.Get("Content-Type"), "v2") {
		r.version = version2
	}
	at := time.Since(x.begin)
	resp, err := x.RoundTripper.RoundTrip(req)
	ts, _ := r.content()
	for _, s := range ts {
		if strings.Contains(fmt.Sprint(s.labels), x.series) {
			status := 0
			if resp != nil {
				status = resp.StatusCode
			}
			x.lines = append(x.lines, fmt.Sprintf("%9.3fs to %9.3fs v%d %d series, %v times %v: %d %v", at.Seconds(), time.Since(x.begin).Seconds(), r.version, len(ts), s.labels[len(s.labels)-1], s.times(), status, err))
		}
	}
	return resp, err
}
