package receiver

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// First holds for the first n requests.
func First(n int) Cond {
	seen := 0
	return Cond{fmt.Sprintf("first %d", n), func(*Request) bool { seen++; return seen <= n }}
}

// Every holds for each n-th request.
func Every(n int) Cond {
	seen := 0
	return Cond{fmt.Sprintf("every %d", n), func(*Request) bool { seen++; return seen%n == 0 }}
}

// For holds for a while, from the first request on.
func For(d time.Duration) Cond {
	var end time.Time
	return Cond{fmt.Sprintf("for %s", d), func(q *Request) bool {
		if end.IsZero() {
			end = q.At.Add(d)
		}
		return q.At.Before(end)
	}}
}

// By holds for requests of a version of remote write.
func By(version int) Cond {
	return Cond{fmt.Sprintf("by %d.0", version), func(q *Request) bool { return q.Version == version }}
}

// Numbered holds for requests with these numbers, the first of all being 0.
func Numbered(numbers ...int) Cond {
	return Cond{fmt.Sprintf("number %d", numbers), func(q *Request) bool { return slices.Contains(numbers, q.Number) }}
}

// MetadataOnly holds for requests with metadata and no sample.
func MetadataOnly() Cond { return Cond{"metadata only", (*Request).MetadataOnly} }

// WithExemplars holds for requests with an exemplar.
func WithExemplars() Cond {
	return Cond{"with exemplars", func(q *Request) bool { return q.Sent[Exemplar] > 0 }}
}

// WithSeries holds for requests with a series that matches.
func WithSeries(name string, is func(series string) bool) Cond {
	return Cond{"with " + name, func(q *Request) bool {
		return slices.ContainsFunc(q.Series, func(s Series) bool { return is(s.Name) })
	}}
}

// Status answers with a status and a text, by 2.0 without headers.
func Status(code int, text string) Gate {
	return Gate{fmt.Sprintf("status %d", code), func(*Request) *Answer { return plain(code, text) }}
}

// StatusWith answers with a status, a text and headers: names and values in turn.
func StatusWith(code int, text string, header ...string) Gate {
	return Gate{fmt.Sprintf("status %d %q", code, header), func(*Request) *Answer {
		a := plain(code, text)
		for i := 0; i+1 < len(header); i += 2 {
			a.set(header[i], header[i+1])
		}
		return a
	}}
}

// StatusClaiming answers with a status and with what the headers of 2.0 claim, and stores nothing.
func StatusClaiming(code int, text string, w Written) Gate {
	return Gate{fmt.Sprintf("status %d claiming %d", code, w), func(q *Request) *Answer {
		return Tell(code, w, says(text))(Outcome{Version: q.Version, Sent: q.Sent})
	}}
}

// Page answers with a status and a page of HTML, as proxies do.
func Page(code int, title string) Gate {
	return Gate{fmt.Sprintf("page %d", code), func(*Request) *Answer {
		a := &Answer{Status: code, Text: fmt.Sprintf("<html>\r\n<head><title>%s</title></head>\r\n<body>\r\n<center><h1>%[1]s</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n", title)}
		return a.set("Content-Type", "text/html").set("Server", "nginx")
	}}
}

// Login answers a GET with a login page, as the target of a redirect does. Other requests pass.
func Login() Gate {
	page := Page(http.StatusOK, "Log in")
	return Gate{"login", func(q *Request) *Answer {
		if q.Method != http.MethodGet {
			return nil
		}
		return page.Ask(q)
	}}
}

// Redirect redirects requests to the target, which is a path with or without a host before it. Requests to the target's path pass.
func Redirect(code int, target, path string) Gate {
	return Gate{fmt.Sprintf("redirect %d to %s", code, target), func(q *Request) *Answer {
		if q.Path == path {
			return nil
		}
		return plain(code, "").set("Location", target)
	}}
}

// QueueFull is Nightingale's answer when its queue is full.
func QueueFull() Gate {
	return Gate{"queue full", func(*Request) *Answer {
		a := &Answer{Status: 499, Text: "write queue full, metric count over limit: 10000001"}
		return a.set("Content-Type", "text/plain; charset=utf-8")
	}}
}

// NoConnection refuses the connection. It belongs on the wire.
func NoConnection() Gate {
	return Gate{"connection refused", func(*Request) *Answer { return &Answer{Fate: NoConnect} }}
}

// Reset ends the connection; on the wire before anything is read, as a fault after that.
func Reset() Gate {
	return Gate{"connection reset", func(*Request) *Answer { return &Answer{Fate: Lost} }}
}

// Hang reads the request and answers nothing until the sender gives up or Set ends the connection. Nothing is stored.
func Hang() Gate {
	return Gate{"hang", func(*Request) *Answer { return &Answer{Wait: -1} }}
}

// Latency is added to each answer. What was stored stays stored when the sender does not wait for it.
func Latency(d time.Duration) After {
	return After{fmt.Sprintf("latency %s", d), func(_ *Request, a *Answer) {
		if a.Wait >= 0 {
			a.Wait += d
		}
	}}
}

// LoseAnswer ends the connection instead of an answer.
func LoseAnswer() After { return After{"answer lost", func(_ *Request, a *Answer) { a.Fate = Lost }} }

// HangAnswer answers nothing until the sender gives up or Set ends the connection. What was stored stays stored.
func HangAnswer() After {
	return After{"no answer", func(_ *Request, a *Answer) { a.Wait = -1 }}
}

// Instead answers with another status and text. What was stored stays stored, and the headers of 2.0 say so.
func Instead(code int, text string) After {
	return After{fmt.Sprintf("status %d instead", code), func(_ *Request, a *Answer) { a.Status, a.Text = code, text }}
}

// Header adds a header to each answer.
func Header(name, value string) After {
	return After{name + ": " + value, func(_ *Request, a *Answer) { a.set(name, value) }}
}

// NoWritten takes the headers of 2.0 away, as a proxy does.
func NoWritten() After {
	return After{"headers cut off", func(_ *Request, a *Answer) {
		for _, name := range [...]string{"Samples", "Histograms", "Exemplars"} {
			a.Header.Del("X-Prometheus-Remote-Write-" + name + "-Written")
		}
	}}
}

// Gzip compresses bodies, asked for or not.
func Gzip() After {
	return After{"gzip", func(_ *Request, a *Answer) {
		if a.Text == "" {
			return
		}
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write([]byte(a.Text))
		_ = w.Close()
		a.Text = b.String()
		a.set("Content-Encoding", "gzip")
	}}
}
