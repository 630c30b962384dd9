package compare

import (
	"fmt"
	"io"
)

// headings say what a kind of differences means, for one target and for several.
var headings = map[string][2]string{
	Missing:  {"target only Prometheus scrapes", "targets only Prometheus scrapes"},
	Labels:   {"target has other labels at the relay", "targets have other labels at the relay"},
	Down:     {"target is up at Prometheus and down at the relay", "targets are up at Prometheus and down at the relay"},
	URL:      {"target has another URL at the relay", "targets have another URL at the relay"},
	Interval: {"target has another interval or timeout", "targets have another interval or timeout"},
	Extra:    {"target only the relay scrapes", "targets only the relay scrapes"},
}

// counted is a number with the word for one, or for several.
func counted(n float64, words [2]string) string {
	word := words[1]
	if n == 1 {
		word = words[0]
	}
	return fmt.Sprintf("%.0f %s", n, word)
}

// shownTargets is how many URLs are shown of a difference, so that a person sees everything on one screen.
const shownTargets = 3

// Write writes the result for people.
func (r *Result) Write(w io.Writer) {
	fmt.Fprintf(w, "Targets: %d at Prometheus, %d at the relay, %d the same.\n", r.Prometheus, r.Relay, r.Same)
	for _, kind := range Kinds {
		if headings[kind][0] != "" {
			r.writeTargets(w, kind)
		}
	}
	if r.Series != nil {
		r.writeSeries(w)
	}
	fmt.Fprintln(w)
	switch changes := []string{Missing, Labels, Down, Extra, Series}; {
	case len(r.Differences) == 0:
		fmt.Fprintln(w, "Nothing differs: dashboards and alerts will not change.")
	case r.Has(changes):
		fmt.Fprintln(w, "Dashboards and alerts that use the series above will change.")
	default:
		fmt.Fprintln(w, "The series are the same. Their resolution or their source differs.")
	}
}

func (r *Result) writeTargets(w io.Writer, kind string) {
	found, n := r.of(kind), 0
	for _, d := range found {
		n += len(d.Targets)
	}
	if n == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s:\n", counted(float64(n), headings[kind]))
	for _, d := range found {
		fmt.Fprintf(w, "  %s (%d): %s\n", d.Job, len(d.Targets), d.Text)
		for _, url := range d.Targets[:min(len(d.Targets), shownTargets)] {
			fmt.Fprintf(w, "    %s\n", url)
		}
		if more := len(d.Targets) - shownTargets; more > 0 {
			fmt.Fprintf(w, "    and %d more\n", more)
		}
	}
}

func (r *Result) writeSeries(w io.Writer) {
	fmt.Fprintf(w, "\n%-40s %21s   %s\n", "Series by job", "Prometheus -> relay", "samples")
	for _, s := range r.Series {
		fmt.Fprintf(w, "  %-38s %10.0f -> %-8.0f %10.0f -> %.0f\n", s.Job, s.OldSeries, s.NewSeries, s.OldSamples, s.NewSamples)
	}
	for _, kind := range []string{Series, Samples} {
		for _, d := range r.of(kind) {
			fmt.Fprintf(w, "  %s: %s\n", d.Job, d.Text)
		}
	}
}
