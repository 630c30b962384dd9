package scrape

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"

	"promrelay/targets"
)

// TestMetadataOfTarget: it is that of the last page; while a page is read there is none, and the scrape is not held up.
func TestMetadataOfTarget(t *testing.T) {
	const first = "# TYPE a counter\n# HELP a What a counts.\na 1\n# HELP b B.\nb 2\nplain 3\n"
	reading, goOn := make(chan struct{}), make(chan struct{})
	calls := 0
	p, l := testPool(t, &countLog{}, promconfig.ScrapeConfig{}, roundTrip(func(r *http.Request) (*http.Response, error) {
		if calls++; calls == 2 {
			close(reading)
			<-goOn
		}
		text := first
		if calls == 2 {
			text = strings.Replace(first, "What a", "How a", 1)
		}
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {typeText}}, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
	}))
	target := l.state().Target
	if got, ok := p.Metadata(target, ""); len(got) != 0 || !ok {
		t.Errorf("before the first scrape: %v, %t", got, ok)
	}
	l.scrape(context.Background(), time.Now())
	want := []Metadata{{Family: "a", Type: model.MetricTypeCounter, Help: "What a counts."}, {Family: "b", Type: model.MetricTypeUnknown, Help: "B."}}
	if got, ok := p.Metadata(target, ""); cmp.Diff(want, got) != "" || !ok {
		t.Errorf("%+v, %t", got, ok)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.scrape(context.Background(), time.Now().Add(time.Second))
	}()
	<-reading
	if got, ok := p.Metadata(target, ""); ok {
		t.Errorf("during a scrape: %+v", got)
	}
	close(goOn)
	<-done
	if got, ok := p.Metadata(target, "a"); len(got) != 1 || got[0].Help != "How a counts." || !ok {
		t.Errorf("after the change: %+v, %t", got, ok)
	}
	p.Apply([]targets.Change{{Job: target.Job, Gone: true}})
	if got, ok := p.Metadata(target, ""); len(got) != 0 || !ok {
		t.Errorf("of a job that is gone: %+v, %t", got, ok)
	}
}
