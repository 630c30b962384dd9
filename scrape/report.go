package scrape

import (
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
)

// reportSeries are the series that every target has in addition to those of its page.
var reportSeries = [...]struct{ name, help, unit string }{
	{"up", "Health of the scrape target. 1 means the target is healthy, 0 if the scrape failed.", "targets"},
	{"scrape_duration_seconds", "Duration of the last scrape in seconds.", "seconds"},
	{"scrape_samples_scraped", "Number of samples last scraped.", "samples"},
	{"scrape_samples_post_metric_relabeling", "Number of samples remaining after metric relabeling was applied.", "samples"},
	{"scrape_series_added", "Number of series in the last scrape.", "series"},
	{"scrape_timeout_seconds", "The configured scrape timeout for a target.", "seconds"},
	{"scrape_sample_limit", "The configured sample limit for a target. Returns zero if there is no limit configured.", "samples"},
	{"scrape_body_size_bytes", "The uncompressed size of the last scrape response, if successful. Scrapes failing because body_size_limit is exceeded report -1, other scrape failures report 0.", "bytes"},
}

// basicReports is how many of reportSeries a target has without extra_scrape_metrics.
const basicReports = 5

// reportLabels returns the labels of report series n (mutateReportSampleLabels of
// prometheus/scrape).
func (s *settings) reportLabels(n int) labels.Labels {
	name := labels.FromStrings(model.MetricNameLabel, reportSeries[n].name)
	b := labels.NewBuilder(name)
	for _, l := range s.labels {
		b.Set(model.ExportedLabelPrefix+l.Name, name.Get(l.Name))
		b.Set(l.Name, l.Value)
	}
	return b.Labels()
}

// reports returns how many report series a target of the job has.
func reports(c *promconfig.ScrapeConfig) int {
	if c.ExtraScrapeMetricsEnabled() {
		return len(reportSeries)
	}
	return basicReports
}
