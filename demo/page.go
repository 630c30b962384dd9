package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// page writes the text format by hand, because client_golang's would not put timestamps on its lines as cheaply as this.
type page struct {
	text   strings.Builder
	family string
}

// begin begins a family. The methods below add to it.
func (p *page) begin(typ, name, help string) {
	p.family = name
	fmt.Fprintf(&p.text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, typ)
}

// add adds a sample without a timestamp. Labels are names and values in turn.
func (p *page) add(value float64, labels ...string) { p.line("", value, time.Time{}, labels) }

// addAt adds a sample with a timestamp.
func (p *page) addAt(at time.Time, value float64, labels ...string) { p.line("", value, at, labels) }

// histogram adds a classic histogram in which a share of (i+1)/len(bounds) of the events is at most bound i.
func (p *page) histogram(events float64, bounds []float64, labels ...string) {
	var sum, below float64
	for i, b := range bounds {
		n := float64(int(events * float64(i+1) / float64(len(bounds))))
		sum += (n - below) * b * 0.75
		below = n
		p.line("_bucket", n, time.Time{}, append(labels[:len(labels):len(labels)], "le", strconv.FormatFloat(b, 'g', -1, 64)))
	}
	p.line("_bucket", below, time.Time{}, append(labels[:len(labels):len(labels)], "le", "+Inf"))
	p.line("_sum", sum, time.Time{}, labels)
	p.line("_count", below, time.Time{}, labels)
}

func (p *page) line(suffix string, value float64, at time.Time, labels []string) {
	p.text.WriteString(p.family + suffix)
	for i := 0; i < len(labels); i += 2 {
		separator := ","
		if i == 0 {
			separator = "{"
		}
		fmt.Fprintf(&p.text, "%s%s=%q", separator, labels[i], labels[i+1])
	}
	if len(labels) > 0 {
		p.text.WriteByte('}')
	}
	p.text.WriteByte(' ')
	p.text.WriteString(strconv.FormatFloat(value, 'g', -1, 64))
	if !at.IsZero() {
		fmt.Fprintf(&p.text, " %d", at.UnixMilli())
	}
	p.text.WriteByte('\n')
}

// serve answers with a page that is written for each request.
func serve(write func(*page, time.Time)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		var p page
		write(&p, time.Now())
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write([]byte(p.text.String())) // a scraper that left needs no answer
	}
}

// onlyMetrics serves one page at /metrics.
func onlyMetrics(write func(*page, time.Time)) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", serve(write))
	return mux
}
