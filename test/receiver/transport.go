package receiver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"syscall"
)

// ServeHTTP is the receiver behind a server. An answer that is lost ends the connection, and so does one that there is no connection for.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	a := r.exchange(req)
	if a == nil || a.Fate != Arrives {
		panic(http.ErrAbortHandler)
	}
	maps.Copy(w.Header(), a.Header)
	w.WriteHeader(a.Status)
	_, _ = io.WriteString(w, a.Text)
}

// RoundTrip is the receiver as the transport of an http.Client, in memory. It ends with the error of the request's context when that
// ends first.
func (r *Receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	a := r.exchange(req)
	switch {
	case a == nil:
		if err := req.Context().Err(); err != nil {
			return nil, err
		}
		return nil, errors.New("the body cannot be read")
	case a.Fate == NoConnect:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	case a.Fate == Lost:
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	}
	header := maps.Clone(a.Header)
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", a.Status, http.StatusText(a.Status)), StatusCode: a.Status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(bytes.NewReader([]byte(a.Text))), ContentLength: int64(len(a.Text)), Request: req,
	}, nil
}
