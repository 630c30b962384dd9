//go:build linux

package cluster_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/golang/snappy"
	"google.golang.org/protobuf/encoding/protowire"
)

// receiver takes remote write 2.0 and keeps every sample in the order of its arrival, staleness markers too. It reads
// the message by itself, so that an error in the relay's encoding does not meet its own reflection.
type receiver struct {
	url string

	mu     sync.Mutex
	series map[string]*series // by the bytes of their labels
	errs   []error
}

// series is what came of one series.
type series struct {
	labels map[string]string
	points []point
}

// point is one sample; at is in milliseconds since the epoch.
type point struct {
	at    int64
	value float64
}

// staleNaN is the bit pattern of a staleness marker.
const staleNaN = 0x7ff0000000000002

func (p point) stale() bool { return math.Float64bits(p.value) == staleNaN }

// startReceiver serves until the test ends, and fails it if a request could not be read.
func startReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{series: map[string]*series{}}
	server := httptest.NewServer(r)
	r.url = server.URL
	t.Cleanup(func() {
		server.Close()
		if err := errors.Join(r.errs...); err != nil {
			t.Errorf("receiver: %v", err)
		}
	})
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return // the relay went away
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n, err := r.takeLocked(request.Header, body)
	if err != nil {
		r.errs = append(r.errs, err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", strconv.Itoa(n))
	w.WriteHeader(http.StatusNoContent)
}

func (r *receiver) takeLocked(header http.Header, body []byte) (samples int, err error) {
	if kind := header.Get("Content-Type"); kind != "application/x-protobuf;proto=io.prometheus.write.v2.Request" {
		return 0, fmt.Errorf("Content-Type is %q, want remote write 2.0", kind)
	}
	message, err := snappy.Decode(nil, body)
	if err != nil {
		return 0, fmt.Errorf("uncompress request: %w", err)
	}
	var symbols []string
	err = fields(message, func(number protowire.Number, value []byte, _ uint64) error {
		switch number {
		case 4:
			symbols = append(symbols, string(value))
		case 5: // the symbols are written before
			n, err := r.seriesLocked(symbols, value)
			samples += n
			return err
		}
		return nil
	})
	return samples, err
}

// seriesLocked takes one TimeSeries.
func (r *receiver) seriesLocked(symbols []string, message []byte) (samples int, err error) {
	var s *series
	err = fields(message, func(number protowire.Number, value []byte, _ uint64) (err error) {
		switch number {
		case 1:
			s, err = r.labelsLocked(symbols, value)
		case 2: // after the labels
			samples++
			var p point
			err = fields(value, func(number protowire.Number, _ []byte, n uint64) error {
				switch number {
				case 1:
					p.value = math.Float64frombits(n)
				case 2:
					p.at = int64(n)
				}
				return nil
			})
			s.points = append(s.points, p)
		}
		return err
	})
	return samples, err
}

// labelsLocked finds or makes the series that references to names and values name.
func (r *receiver) labelsLocked(symbols []string, packed []byte) (*series, error) {
	labels, key := map[string]string{}, ""
	for name, odd := "", false; len(packed) > 0; odd = !odd {
		i, n := binary.Uvarint(packed)
		if n <= 0 || i >= uint64(len(symbols)) {
			return nil, fmt.Errorf("symbol %d of %d", i, len(symbols))
		}
		packed = packed[n:]
		key += symbols[i] + "\xff"
		if odd {
			labels[name] = symbols[i]
		}
		name = symbols[i]
	}
	if r.series[key] == nil {
		r.series[key] = &series{labels: labels}
	}
	return r.series[key], nil
}

// fields walks the fields of a message. Value is that of a field with a length, number that of any other.
func fields(message []byte, each func(n protowire.Number, value []byte, number uint64) error) error {
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		var value []byte
		var number uint64
		switch kind {
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(message)
		case protowire.Fixed64Type:
			number, n = protowire.ConsumeFixed64(message)
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(message)
		default:
			n = protowire.ConsumeFieldValue(field, kind, message)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		if err := each(field, value, number); err != nil {
			return err
		}
	}
	return nil
}

// find gives copies of the series that have these labels, written as name, value, name, value.
func (r *receiver) find(labels ...string) []series {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []series
	for _, s := range r.series {
		if has(s.labels, labels...) {
			found = append(found, series{s.labels, slices.Clone(s.points)})
		}
	}
	return found
}

// longestGap is the longest time between two samples that follow each other.
func (s series) longestGap() time.Duration {
	var longest int64
	for i := 1; i < len(s.points); i++ {
		longest = max(longest, s.points[i].at-s.points[i-1].at)
	}
	return time.Duration(longest) * time.Millisecond
}

func has(labels map[string]string, pairs ...string) bool {
	for pair := range slices.Chunk(pairs, 2) {
		if labels[pair[0]] != pair[1] {
			return false
		}
	}
	return true
}
