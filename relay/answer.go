package relay

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"html"
	"io"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// answer is what the receiver answered to a request.
type answer struct {
	status     int // of HTTP, 0 if there was no answer
	err        error
	retryAfter time.Duration // of the header, 0 if there is none
	location   string        // of a redirect that is not followed
	text       string        // of the body, fit for a person

	// hasCounts: headers say how many samples, histograms included, and exemplars were stored.
	hasCounts          bool
	samples, exemplars int
}

func (a answer) ok() bool { return a.status/100 == 2 }

func (a answer) statusText() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", a.status, http.StatusText(a.status)))
}

// problem describes what is wrong with the answer, for a person; nil for 2xx.
func (a answer) problem() error {
	switch {
	case a.err != nil:
		return a.err
	case a.ok():
		return nil
	case a.location != "":
		return fmt.Errorf("%s to %s, which is not followed", a.statusText(), a.location)
	case a.text != "":
		return fmt.Errorf("%s: %s", a.statusText(), a.text)
	}
	return errors.New(a.statusText())
}

// bodyTime is how long the relay waits for the body of an answer.
const bodyTime = 2 * time.Second

// maxText is how many bytes of an answer's body are read and shown at most.
const maxText = 512

// readAnswer converts resp to an answer, and closes its body.
func readAnswer(resp *http.Response, now time.Time) answer {
	defer resp.Body.Close()
	late := time.AfterFunc(bodyTime, func() { _ = resp.Body.Close() }) // what was read by then is enough
	defer late.Stop()
	a := answer{status: resp.StatusCode, retryAfter: retryAfter(resp.Header.Get("Retry-After"), now)}
	a.hasCounts, a.samples, a.exemplars = written(resp.Header)
	if a.status/100 == 3 {
		a.location = shown(resp.Header.Get("Location"))
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 16*maxText))
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	if !a.ok() {
		a.text = readable(body, resp.Header)
	}
	return a
}

// written returns how much was stored, by the answer's headers. See "Required Written Response Headers" in the specification of 2.0.
func written(h http.Header) (hasCounts bool, samples, exemplars int) {
	for _, name := range [...]string{"Samples", "Histograms", "Exemplars"} {
		v, err := strconv.Atoi(h.Get("X-Prometheus-Remote-Write-" + name + "-Written"))
		if err != nil || v < 0 {
			continue
		}
		v = min(v, math.MaxInt32)
		hasCounts = true
		if name == "Exemplars" {
			exemplars = v
		} else {
			samples += v
		}
	}
	return hasCounts, samples, exemplars
}

var (
	htmlTitle = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)
	htmlTag   = regexp.MustCompile(`(?s)<[^>]*>`)
)

// readable returns a body as one line. It decompresses the body first. Of HTML it returns only the title.
func readable(body []byte, h http.Header) string {
	if strings.Contains(h.Get("Content-Encoding"), "gzip") || bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
		if z, err := gzip.NewReader(bytes.NewReader(body)); err == nil {
			if plain, _ := io.ReadAll(io.LimitReader(z, 16*maxText)); len(plain) > 0 {
				body = plain
			}
		}
	}
	text := string(body)
	if strings.Contains(h.Get("Content-Type"), "html") || strings.HasPrefix(strings.TrimSpace(text), "<") {
		if m := htmlTitle.FindStringSubmatch(text); m != nil {
			text = m[1]
		} else {
			text = htmlTag.ReplaceAllString(text, " ")
		}
		text = html.UnescapeString(text)
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && !unicode.IsSpace(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "..."
	}
	return text
}

// shown is a URL without what may be secret: user, query and fragment.
func shown(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "a URL that cannot be read"
	}
	u.User, u.Opaque, u.RawQuery, u.Fragment, u.ForceQuery = nil, "", "", "", false
	return u.String()
}

// withoutURL removes the URL from an error of net/http: it may hold secrets, and the log names the destination next to the error.
func withoutURL(err error) error {
	if err == nil {
		return nil
	}
	for u := (*url.Error)(nil); errors.As(err, &u); u = nil {
		err = u.Err
	}
	if strings.Contains(err.Error(), "Location header") { // net/http quotes the header in its error
		return errors.New("a redirect with a Location that cannot be read")
	}
	if text := err.Error(); len(text) > maxText || strings.ContainsFunc(text, unicode.IsControl) { // the answer of a token server
		return errors.New(readable([]byte(text), nil))
	}
	return err
}

// maxRetryAfter bounds how long the relay waits because of Retry-After. Mimir demands a longer pause after each retry, but works
// again long before the pause is over.
const maxRetryAfter = time.Minute

// retryAfter reads the header Retry-After, which is a time or a number of seconds.
func retryAfter(v string, now time.Time) time.Duration {
	var d time.Duration
	if n, err := strconv.Atoi(v); err == nil {
		d = time.Duration(min(n, int(maxRetryAfter/time.Second))) * time.Second
	} else if t, err := http.ParseTime(v); err == nil {
		d = t.Sub(now)
	}
	return max(0, min(d, maxRetryAfter))
}
