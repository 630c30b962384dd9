package web

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/alecthomas/units"
	promversion "github.com/prometheus/common/version"
)

// The answers of /api/v1/status/..., with the keys of Prometheus's API.
type (
	apiConfig struct {
		YAML string `json:"yaml"`
	}
	apiBuild struct {
		Application string `json:"application"` // not in Prometheus's API
		Version     string `json:"version"`
		Revision    string `json:"revision"`
		Branch      string `json:"branch"`
		BuildUser   string `json:"buildUser"`
		BuildDate   string `json:"buildDate"`
		GoVersion   string `json:"goVersion"`
	}
	apiRuntime struct {
		StartTime           time.Time `json:"startTime"`
		CWD                 string    `json:"CWD"`
		Hostname            string    `json:"hostname"`
		ServerTime          time.Time `json:"serverTime"`
		ReloadConfigSuccess bool      `json:"reloadConfigSuccess"`
		LastConfigTime      time.Time `json:"lastConfigTime"`
		CorruptionCount     uint64    `json:"corruptionCount"` // damaged places in the log
		GoroutineCount      int       `json:"goroutineCount"`
		GOMAXPROCS          int       `json:"GOMAXPROCS"`
		GOMEMLIMIT          int64     `json:"GOMEMLIMIT"` // bytes
		GOGC                string    `json:"GOGC"`
		GODEBUG             string    `json:"GODEBUG"`
		StorageRetention    string    `json:"storageRetention"` // the bound of the log
	}
)

func configAPI(_ *http.Request, src *Sources) (any, []string, error) {
	if src.Config == nil {
		return nil, nil, apiError{unavailable, errors.New("the configuration is not known yet")}
	}
	return apiConfig{src.Config()}, nil, nil
}

func (s *Server) flagsAPI(*http.Request, *Sources) (any, []string, error) {
	if s.options.CommandLine == nil {
		return map[string]string{}, nil, nil
	}
	return s.options.CommandLine, nil, nil
}

func (s *Server) buildAPI(*http.Request, *Sources) (any, []string, error) { return s.build(), nil, nil }

func (s *Server) build() apiBuild {
	return apiBuild{
		Application: "promrelay", Version: s.options.Version, Revision: promversion.GetRevision(), Branch: promversion.Branch,
		BuildUser: promversion.BuildUser, BuildDate: promversion.BuildDate, GoVersion: promversion.GoVersion,
	}
}

func (s *Server) runtimeAPI(_ *http.Request, src *Sources) (any, []string, error) {
	return s.runtime(src), nil, nil
}

func (s *Server) runtime(src *Sources) apiRuntime {
	out := apiRuntime{
		StartTime: s.started, ServerTime: time.Now().UTC(), ReloadConfigSuccess: src.Refused == nil || src.Refused() == nil,
		GoroutineCount: runtime.NumGoroutine(), GOMAXPROCS: runtime.GOMAXPROCS(0), GOMEMLIMIT: debug.SetMemoryLimit(-1), // it only reads it
		GOGC: gogc(), GODEBUG: os.Getenv("GODEBUG"),
	}
	out.CWD, _ = os.Getwd()
	out.Hostname, _ = os.Hostname()
	if src.Loaded != nil {
		out.LastConfigTime = src.Loaded().UTC()
	}
	if src.WAL != nil {
		log := src.WAL()
		out.CorruptionCount, out.StorageRetention = log.Corruptions, units.Base2Bytes(log.MaxBytes).String()
	}
	return out
}

// gogc is the GC percentage in force.
func gogc() string {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindUint64 {
		return os.Getenv("GOGC")
	}
	return fmt.Sprint(int32(s[0].Value.Uint64())) // -1 where the collector is off
}

// noSamples are the paths of Prometheus's API that need stored samples, or what evaluates them.
var noSamples = []string{
	"query", "query_range", "query_exemplars", "format_query", "parse_query", "labels", "label/{name}/values", "series",
	"rules", "alerts", "alertmanagers", "status/tsdb",
}

// noSamplesAPI answers as a Prometheus does in agent mode, so that a client says what is wrong.
func noSamplesAPI(*http.Request, *Sources) (any, []string, error) {
	return nil, nil, apiError{execution, errors.New("promrelay stores no samples and evaluates no queries: ask a receiver of its remote_write")}
}

// missingParameter is the error for a parameter that a request must have.
func missingParameter(name string) error {
	return apiError{badData, fmt.Errorf("no %s parameter provided", name)}
}

func badParameter(name, value string, err error) error {
	return apiError{badData, fmt.Errorf("invalid parameter %q: %q: %w", name, clip(value), err)}
}
