package receiver

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Size is what one request may hold; 0 means no limit.
type Size struct {
	Bytes   int // uncompressed
	Series  int
	Samples int // with histograms
}

func (s Size) String() string {
	return fmt.Sprintf("%d bytes, %d series, %d samples", s.Bytes, s.Series, s.Samples)
}

// over tells what of a request is beyond the limits: how much, and the limit.
func (s Size) over(q *Request) (what string, have, limit int) {
	switch n := q.Sent.Samples(); {
	case s.Bytes > 0 && q.Decoded > s.Bytes:
		return "bytes", q.Decoded, s.Bytes
	case s.Series > 0 && len(q.Series) > s.Series:
		return "series", len(q.Series), s.Series
	case s.Samples > 0 && n > s.Samples:
		return "samples", n, s.Samples
	}
	return "", 0, 0
}

// TooLarge refuses larger requests with a status and a text about what is beyond, how much it is and the limit.
func TooLarge(s Size, status int, text func(what string, have, limit int) string) Gate {
	return Gate{fmt.Sprintf("%d above %s", status, s), func(q *Request) *Answer {
		what, have, limit := s.over(q)
		if what == "" {
			return nil
		}
		return plain(status, text(what, have, limit))
	}}
}

// Pace is a limit of items a second: a bucket that holds Burst and fills at PerSecond. A request of more than Burst never passes.
type Pace struct {
	PerSecond float64
	Burst     int
	// Metadata counts as samples do, as in Cortex and Mimir.
	Metadata bool
	// RetryAfter gives the header, in seconds, from Retry-Attempt; nil: there is none.
	RetryAfter func(attempt int) int
	// Claim is what the headers of 2.0 say.
	Claim Written
	// Text is nil for a plain one.
	Text func(q *Request, items int) string
}

// Rate answers 429 to what comes faster.
func Rate(p Pace) Gate {
	var tokens float64
	var last time.Time
	return Gate{fmt.Sprintf("rate %g/s burst %d", p.PerSecond, p.Burst), func(q *Request) *Answer {
		now := time.Now()
		if last.IsZero() {
			tokens, last = float64(p.Burst), now
		}
		tokens = min(float64(p.Burst), tokens+p.PerSecond*now.Sub(last).Seconds())
		last = now
		items := q.Sent.Samples()
		if p.Metadata {
			items += q.Metadata
		}
		if float64(items) <= tokens {
			tokens -= float64(items)
			return nil
		}
		text := "too many requests"
		if p.Text != nil {
			text = p.Text(q, items)
		}
		a := Tell(http.StatusTooManyRequests, p.Claim, says(text))(Outcome{Version: q.Version, Sent: q.Sent})
		if p.RetryAfter != nil {
			a.set("Retry-After", strconv.Itoa(p.RetryAfter(q.Attempt)))
		}
		return a
	}}
}

// GrowingRetryAfter is what Mimir was seen to ask for as Retry-Attempt grows: 6 s at first, 96 s in the end.
func GrowingRetryAfter(attempt int) int {
	steps := [...]int{6, 6, 9, 15, 24, 77, 96}
	return steps[min(max(attempt, 0), len(steps)-1)]
}

// Starting answers 500 with Mimir's Retry-After, as it does while it starts.
func Starting() Gate {
	return Gate{"starting", func(q *Request) *Answer {
		a := Tell(http.StatusInternalServerError, All, says("at least 1 live replicas required, could only find 0 - unhealthy instances: 127.0.0.1:9095"))(Outcome{Version: q.Version, Sent: q.Sent})
		return a.set("Retry-After", strconv.Itoa(GrowingRetryAfter(q.Attempt)))
	}}
}
