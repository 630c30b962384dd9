//go:build linux

package cluster_test

import (
	"testing"
	"time"

	"promrelay/test/process"
	fake "promrelay/test/receiver"
)

// startReceiver serves a receiver that takes everything, until the test ends. It fails the test if a request was not as it should be.
func startReceiver(t *testing.T) *fake.Server {
	t.Helper()
	address, err := process.FreeAddress("")
	if err != nil {
		t.Fatal(err)
	}
	r := fake.NewServer(address, fake.Plain())
	if err := r.Up(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Down()
		for _, p := range r.Problems() {
			t.Errorf("receiver: %s", p)
		}
		for _, x := range r.Requests() {
			if x.Version != 2 {
				t.Errorf("receiver: request %d was of remote write %d.0", x.Number, x.Version)
			}
		}
		if err := r.Err(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// longestGap is the longest time between two samples that follow each other.
func longestGap(s fake.StoredSeries) time.Duration {
	var longest int64
	for i := 1; i < len(s.Samples); i++ {
		longest = max(longest, s.Samples[i].Time-s.Samples[i-1].Time)
	}
	return time.Duration(longest) * time.Millisecond
}

func has(labels map[string]string, pairs ...string) bool {
	for i := 0; i < len(pairs); i += 2 {
		if labels[pairs[i]] != pairs[i+1] {
			return false
		}
	}
	return true
}
