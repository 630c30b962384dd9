package config

import (
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestFollowNothing demands that a file whose object is not known selects no monitor, and that there are no warnings.
func TestFollowNothing(t *testing.T) {
	c := load(t, "follow.good.yaml")
	m := c.Monitors
	if m.ServiceMonitorSelector == nil || len(m.ServiceMonitorSelector.MatchExpressions) != 2 || m.PodMonitorSelector != nil || m.ProbeSelector != nil || m.ScrapeConfigSelector != nil {
		t.Errorf("it selects %+v", m)
	}
	if m.LastGoodDirectory == "" {
		t.Error("the file's own keys are gone")
	}
}

// TestFollowMerges demands that keys of the file count before those of the object, and that mistakes of the object are found.
func TestFollowMerges(t *testing.T) {
	block := func(text string) *yaml.Node {
		var n yaml.Node
		if err := yaml.Unmarshal([]byte(text), &n); err != nil {
			t.Fatal(err)
		}
		return n.Content[0]
	}
	for file, want := range map[string]int64{
		"kubernetes: {prometheus: a/b}": 5, "kubernetes: {prometheus: a/b}\nmonitors: {}": 5, "kubernetes: {prometheus: a/b}\nmonitors: {sampleLimit: 7}": 7,
		"{kubernetes: {prometheus: a/b}, monitors: }": 5,
	} {
		c, err := read([]byte(file), "", block("{serviceMonitorSelector: {}, sampleLimit: 5}"))
		if err != nil || c.Monitors.SampleLimit == nil || *c.Monitors.SampleLimit != want {
			t.Errorf("%s: %v", file, err)
		}
	}
	if c, err := read([]byte("kubernetes: {}"), "", block("{sampleLimit: 5}")); err != nil || c.Monitors.SampleLimit != nil {
		t.Errorf("a file that follows nothing: %v", err)
	}
	for _, bad := range []string{"{sampleLimit: -1}", "{sampleLimit: x}", "{scrapeClasses: [{nam: x}]}"} {
		if _, err := read([]byte("kubernetes: {prometheus: a/b}"), "", block(bad)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}
