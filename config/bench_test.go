package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/common/promslog"
	promconfig "github.com/prometheus/prometheus/config"
)

// large is a configuration of some thousand jobs, as people generate them.
func large() []byte {
	var b strings.Builder
	b.WriteString("scrape_configs:\n")
	for i := range 2000 {
		fmt.Fprintf(&b, "- job_name: job-%d\n  scrape_interval: 30s\n  static_configs:\n  - targets: ['10.0.0.1:80', '10.0.0.2:80']\n    labels: {a: b}\n  relabel_configs:\n", i)
		for range 10 {
			b.WriteString("  - {source_labels: [a, b], regex: 'x(.*)', target_label: c, replacement: $1}\n")
		}
	}
	return []byte(b.String())
}

func BenchmarkLoad(b *testing.B) {
	text := large()
	b.Run("relay", func(b *testing.B) {
		for b.Loop() {
			if _, err := Load(text, ""); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Prometheus", func(b *testing.B) {
		for b.Loop() {
			if _, err := promconfig.Load(string(text), promslog.NewNopLogger()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
