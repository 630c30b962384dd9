package web

import (
	"encoding/json"
	"errors"
	"net/http"

	"go.uber.org/zap"
)

// apiAnswer is the envelope of all answers of the API, as Prometheus has it.
type apiAnswer struct {
	Status    string   `json:"status"` // success or error
	Data      any      `json:"data,omitempty"`
	ErrorType string   `json:"errorType,omitempty"`
	Error     string   `json:"error,omitempty"`
	Warnings  []string `json:"warnings,omitempty"`
}

// apiError is an error of a kind that Prometheus's API has.
type apiError struct {
	kind errorKind
	error
}

func (e apiError) Unwrap() error { return e.error }

// errorKind is the errorType of an answer.
type errorKind string

// The kinds of errors. Any other error is internal.
const (
	badData     errorKind = "bad_data"
	execution   errorKind = "execution"
	unavailable errorKind = "unavailable"
	notFound    errorKind = "not_found"
	internal    errorKind = "internal"
)

var statusOf = map[errorKind]int{
	badData: http.StatusBadRequest, execution: http.StatusUnprocessableEntity, unavailable: http.StatusServiceUnavailable,
	notFound: http.StatusNotFound, internal: http.StatusInternalServerError,
}

// apiFunc answers a request of the API. Data is marshalled to JSON.
type apiFunc func(r *http.Request, src *Sources) (data any, warnings []string, err error)

// api makes a handler of f. It does not set CORS headers: otherwise any page that a user's browser has open could read the relay.
func (s *Server) api(f apiFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		src := s.sources.Load()
		if src == nil {
			s.answer(w, nil, nil, apiError{unavailable, errors.New("promrelay is starting")})
			return
		}
		data, warnings, err := f(r, src)
		s.answer(w, data, warnings, err)
	}
}

// answer writes the envelope.
func (s *Server) answer(w http.ResponseWriter, data any, warnings []string, err error) {
	status, out := http.StatusOK, apiAnswer{Status: "success", Data: data, Warnings: warnings}
	if err != nil {
		kind := internal
		if e := new(apiError); errors.As(err, e) {
			kind = e.kind
		}
		status, out = statusOf[kind], apiAnswer{Status: "error", ErrorType: string(kind), Error: err.Error()}
	}
	text, err := json.Marshal(out)
	if err != nil {
		s.log.Error("an answer of the API cannot be written", zap.NamedError("err", err))
		status, text = http.StatusInternalServerError, []byte(`{"status":"error","errorType":"internal","error":"the answer cannot be written as JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n'))
}
