package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"go.uber.org/zap"
	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"promrelay/config"
	"promrelay/config/agent"
	"promrelay/informers"
	apiobjects "promrelay/informers/objects"
)

const (
	// followEvery is how often the object that the configuration follows is read. It is one request by name, which needs no more than get.
	followEvery = 5 * time.Second
	// followWithin bounds one such request.
	followWithin = 5 * time.Second
)

// follower reads the PrometheusAgent or Prometheus whose spec is the block monitors. A nil follower follows nothing.
type follower struct {
	kind, namespace, name string
	get                   func(ctx context.Context, kind, namespace, name string) ([]byte, error)
	rejected              func(corev1.ObjectReference, string) // makes an Event
	log                   *zap.Logger

	tried  [sha256.Size]byte // of the spec that was tried last; only look uses it
	result error             // of trying it; only look uses it
	mu     sync.Mutex
	good   *yaml.Node // the block of the last good version; nil before the first
	why    error      // why the present version is not in force; nil if it is
}

// newFollower returns a follower of the object that the configuration names; nil if it names none.
func newFollower(c *config.Config, backend informers.Backend, log *zap.Logger) *follower {
	kind, namespace, name, ok := c.Kubernetes.Follows()
	from, can := backend.(interface {
		Agent(ctx context.Context, kind, namespace, name string) ([]byte, error)
	})
	if !ok || !can {
		return nil
	}
	rejected := func(of corev1.ObjectReference, reason string) { backend.Report(of, apiobjects.Rejection(reason, "")) }
	return &follower{kind: kind, namespace: namespace, name: name, get: from.Agent, rejected: rejected, log: log}
}

func (f *follower) String() string { return fmt.Sprintf("%s %s/%s", f.kind, f.namespace, f.name) }

// block is the block monitors of the last good version; nil before the first.
func (f *follower) block() *yaml.Node {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.good
}

// problem says why the present version of the object is not in force; nil if it is.
func (f *follower) problem() error {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.why
}

// set notes a good version, or with an error why the present one is not in force. It reports whether that is new.
func (f *follower) set(good *yaml.Node, why error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.why
	if f.why = why; why == nil {
		f.good = good
	}
	return (before == nil) != (why == nil) || why != nil && before.Error() != why.Error()
}

// look reads the object. If its spec has changed, try is called with the block that it makes. The error of look is why the object is not in
// force. It stays what it was while the API server does not answer, since the pages tell of that by themselves.
func (f *follower) look(ctx context.Context, try func(*yaml.Node) error) error {
	ctx, cancel := context.WithTimeout(ctx, followWithin)
	defer cancel()
	text, err := f.get(ctx, f.kind, f.namespace, f.name)
	switch {
	case apierrors.IsForbidden(err):
		return fmt.Errorf("the relay may not get it; apply the component prometheus-agent of deploy/: %w", err)
	case apierrors.IsNotFound(err):
		return errors.New("the cluster has no such object")
	case err != nil:
		f.log.Debug("the object that the configuration follows cannot be read", zap.Stringer("object", f), zap.NamedError("err", err))
		return f.problem()
	}
	var written struct {
		Metadata struct{ UID string }
		Spec     json.RawMessage
	}
	_ = json.Unmarshal(text, &written) // Decode says what is wrong
	sum := sha256.Sum256(written.Spec)
	if sum == f.tried {
		return f.result
	}
	block, err := blockOf(text)
	if err == nil {
		err = try(block)
	}
	if errors.Is(err, errFile) { // tried again when the file is good
		return f.problem()
	}
	if file, ok := errors.AsType[*config.FileError](err); ok { // the file itself is good
		err = file.Err
	}
	f.tried, f.result = sum, err
	if err != nil {
		f.rejected(f.reference(written.Metadata.UID), err.Error())
	}
	return err
}

// errFile says that the file is refused whatever the object is.
var errFile = errors.New("the configuration file is refused")

// blockOf is the block monitors that an object makes.
func blockOf(text []byte) (*yaml.Node, error) {
	o, err := agent.Decode(text)
	if err != nil {
		return nil, err
	}
	r, err := agent.Translate(o, agent.Options{})
	if err != nil {
		return nil, err
	}
	if r.Monitors == nil {
		return nil, errors.New("it has no selector of monitors: give it one, such as serviceMonitorSelector")
	}
	return r.Monitors, nil
}

func (f *follower) reference(uid string) corev1.ObjectReference {
	version := monitoringv1alpha1.SchemeGroupVersion
	if f.kind == agent.KindPrometheus {
		version = monitoringv1.SchemeGroupVersion
	}
	return corev1.ObjectReference{APIVersion: version.String(), Kind: f.kind, Namespace: f.namespace, Name: f.name, UID: types.UID(uid)}
}
