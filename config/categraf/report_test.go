package categraf

import (
	"strings"
	"testing"
	"testing/fstest"
)

// TestNothingUnderstood: the error names the file that is not understood, and shows no secrets.
func TestNothingUnderstood(t *testing.T) {
	_, err := Migrate(fstest.MapFS{"input.prometheus/prometheus.toml": {Data: []byte("[[instances]]\nurls = [\n")}}, Same)
	if err == nil || !strings.Contains(err.Error(), "prometheus.toml:1: not read: ") {
		t.Errorf("got %v", err)
	}
	r, err := Migrate(fstest.MapFS{"input.prometheus/prometheus.toml": {Data: []byte("[[instances]]\nurls = [\"http://u:hunter2@h/x?token=hunter3\"]\n")}}, Same)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Report.Findings {
		if strings.Contains(f.Text, "hunter") {
			t.Errorf("a finding shows a secret: %s", f.Text)
		}
	}
}
