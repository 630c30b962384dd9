package main

import (
	"fmt"
	"time"

	"github.com/alecthomas/kingpin/v2"
	corev1 "k8s.io/api/core/v1"

	"promrelay/config"
	"promrelay/informers"
	"promrelay/informers/cluster"
	apiobjects "promrelay/informers/objects"
)

const (
	// settleWithin bounds how long it may take to read the objects of a cluster or of a directory, and to find the targets.
	settleWithin = time.Minute
	// lintWithin is the same for lint without a cluster, whose directories may be large.
	lintWithin = 10 * time.Minute
)

// clusterFlags adds the flags that name a cluster. Help says what it is for.
func clusterFlags(c *kingpin.CmdClause, to *config.Kubernetes, help string) {
	c.Flag("kubeconfig", "Path of a kubeconfig. "+help).StringVar(&to.Kubeconfig)
	c.Flag("context", "Context of the kubeconfig, instead of its current one.").StringVar(&to.Context)
}

// readOnly is a cluster in which nothing is written.
type readOnly struct{ informers.Backend }

// Report writes no Event.
func (readOnly) Report(corev1.ObjectReference, apiobjects.Event) {}

// Server returns the URL of the API server.
func (r readOnly) Server() string {
	if s, ok := r.Backend.(interface{ Server() string }); ok {
		return s.Server()
	}
	return ""
}

// readOnlyCluster returns the objects of a cluster.
func readOnlyCluster(k config.Kubernetes) (informers.Backend, error) {
	c, err := cluster.New(&k, name+"/"+version, nil)
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig=%s: %w", k.Kubeconfig, err)
	}
	return readOnly{c}, nil
}
