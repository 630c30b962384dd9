//go:build linux

package cluster

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

// auditPolicy records every stage of every request. The first stage is written before the request is processed, so a client that has
// its answer finds its request in the log.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: Metadata
`

// The stages of a request in the log.
const (
	stageReceived = "RequestReceived"
	stageStarted  = "ResponseStarted"
	stageComplete = "ResponseComplete"
	stagePanic    = "Panic"
)

// AuditEvent is what tests read of a line of the audit log (audit.k8s.io/v1, Event).
type AuditEvent struct {
	AuditID    string `json:"auditID"`
	Stage      string `json:"stage"`
	RequestURI string `json:"requestURI"`
	Verb       string `json:"verb"`
	UserAgent  string `json:"userAgent"`
	User       struct {
		Username string `json:"username"`
	} `json:"user"`
	ObjectRef *struct {
		Resource    string `json:"resource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
		APIGroup    string `json:"apiGroup"`
		Subresource string `json:"subresource"`
	} `json:"objectRef"`
	ResponseStatus *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"responseStatus"`
}

// AuditFilter chooses requests; an empty field lets every request pass.
type AuditFilter struct {
	// User is the whole user name: "system:serviceaccount:monitoring:promrelay".
	User string
	// Agent begins the client's User-Agent.
	Agent string
	// Verb is the request's verb: "get", "list", "watch", "create", ... A watch that asks for the initial objects
	// too (WatchList) is "watch".
	Verb string
	// Resource is written as kubectl writes it: "pods", "servicemonitors.monitoring.coreos.com"; a subresource
	// follows a slash: "nodes/metrics".
	Resource string
}

func (f AuditFilter) matches(e *AuditEvent) bool {
	return (f.User == "" || f.User == e.User.Username) &&
		strings.HasPrefix(e.UserAgent, f.Agent) &&
		(f.Verb == "" || f.Verb == e.Verb) &&
		(f.Resource == "" || f.Resource == auditResource(e))
}

// auditResource names an event's resource; it is "" for requests that are not about one, such as "/version".
func auditResource(e *AuditEvent) string {
	if e.ObjectRef == nil {
		return ""
	}
	name := resourceName(e.ObjectRef.Resource, e.ObjectRef.APIGroup)
	if e.ObjectRef.Subresource != "" {
		name += "/" + e.ObjectRef.Subresource
	}
	return name
}

// AuditEvents reads the events of the requests that a filter chooses, over all lives of the API server, in the order
// of their writing. One request has several events, one for each of its stages, under one audit ID. It needs
// Options.Audit.
func (c *Cluster) AuditEvents(t testing.TB, filter AuditFilter) []AuditEvent {
	t.Helper()
	return c.auditEvents(t, filter, 0)
}

// Requests counts the requests that a filter chooses, by verb and resource: "watch pods", "get secrets"; requests
// that are about no resource go by their path: "get /version". The counts are exact for every request that has been
// answered. It needs Options.Audit.
func (c *Cluster) Requests(t testing.TB, filter AuditFilter) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for _, e := range c.AuditEvents(t, filter) {
		if e.Stage != stageReceived {
			continue
		}
		resource := auditResource(&e)
		if resource == "" {
			resource, _, _ = strings.Cut(e.RequestURI, "?")
		}
		counts[e.Verb+" "+resource]++
	}
	return counts
}

// OpenWatches counts the open watches among the requests that a filter chooses: those that the running API server has begun to answer
// and has not ended. Unlike Cluster.Watches it can tell clients apart. It needs Options.Audit.
func (c *Cluster) OpenWatches(t testing.TB, filter AuditFilter) Watches {
	t.Helper()
	filter.Verb = "watch"
	watches := Watches{}
	for _, e := range c.auditEvents(t, filter, c.audited.Load()) {
		begun := e.ResponseStatus == nil || e.ResponseStatus.Code < 300
		switch {
		case e.Stage == stageStarted && begun:
			watches.add(auditResource(&e), 1)
		case (e.Stage == stageComplete || e.Stage == stagePanic) && begun:
			watches.add(auditResource(&e), -1)
		}
	}
	return watches
}

func (c *Cluster) auditLog() string { return c.file("audit.log") }

func (c *Cluster) auditEvents(t testing.TB, filter AuditFilter, offset int64) []AuditEvent {
	t.Helper()
	if !c.options.Audit {
		t.Fatal("read audit log: the cluster was started without Options.Audit")
	}
	events, err := readAudit(c.auditLog(), filter, offset)
	if err != nil {
		t.Fatalf("read audit log: %v", err)
	}
	return events
}

// readAudit reads whole lines; a last line without an end is still being written.
func readAudit(path string, filter AuditFilter, offset int64) ([]AuditEvent, error) {
	log, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	if _, err := log.Seek(offset, io.SeekStart); err != nil {
		return nil, err
	}
	var events []AuditEvent
	for lines := bufio.NewReader(log); ; {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return events, nil
		} else if err != nil {
			return nil, err
		}
		var e AuditEvent
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("parse %q: %w", line, err)
		}
		if filter.matches(&e) {
			events = append(events, e)
		}
	}
}
