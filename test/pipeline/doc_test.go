// Package pipeline runs the real binary: exporters served by the test on one side, receivers on the other, and
// everything that reached one of them compared with what the other served, sample by sample.
//
// An exporter numbers its pages, and each page tells its number as a series. So a receiver's samples can be matched with
// what was served although it is the relay that gives them their timestamps.
package pipeline

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"promrelay/test/peers"
)

// relayBinary is what the tests run.
var relayBinary string

func TestMain(m *testing.M) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	var err error
	relayBinary, err = peers.BuildPromrelay(ctx, "")
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// long skips a test that takes long or much memory where time is short.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes long")
	}
}
