package relay

import "github.com/prometheus/client_golang/prometheus"

// collector converts the statuses of the destinations to metrics.
type collector struct{ r *Relay }

var (
	behindDesc  = prometheus.NewDesc("promrelay_relay_behind_samples", "Samples in the log that the destination has not taken yet.", []string{"destination"}, nil)
	newestDesc  = prometheus.NewDesc("promrelay_relay_newest_sample_timestamp_seconds", "Timestamp of the newest sample that the destination took.", []string{"destination"}, nil)
	asideDesc   = prometheus.NewDesc("promrelay_relay_set_aside_series", "Series that are not sent for a while, since the destination refuses them.", []string{"destination"}, nil)
	waitingDesc = prometheus.NewDesc("promrelay_relay_waiting", "1 while the destination takes nothing and requests wait, else 0.", []string{"destination"}, nil)
)

func (collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- behindDesc
	ch <- newestDesc
	ch <- asideDesc
	ch <- waitingDesc
}

func (c collector) Collect(ch chan<- prometheus.Metric) {
	for _, s := range c.r.Statuses() {
		waiting := 0.0
		if s.Error != "" {
			waiting = 1
		}
		ch <- prometheus.MustNewConstMetric(behindDesc, prometheus.GaugeValue, float64(s.Behind), s.Name)
		ch <- prometheus.MustNewConstMetric(newestDesc, prometheus.GaugeValue, float64(s.Newest)/1000, s.Name)
		ch <- prometheus.MustNewConstMetric(asideDesc, prometheus.GaugeValue, float64(s.Aside), s.Name)
		ch <- prometheus.MustNewConstMetric(waitingDesc, prometheus.GaugeValue, waiting, s.Name)
	}
}
