// Package pipeline runs the real binary between exporters and receivers of its own, and compares what the receivers got with what the
// exporters served, sample by sample.
//
// An exporter numbers its pages, and each page has its number as a series. So the samples of a receiver can be matched with pages,
// although the relay sets the timestamps.
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

// long skips a test that takes much time or memory if -short is given.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes long")
	}
}
