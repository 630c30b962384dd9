package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"promrelay/test/peers"
	"promrelay/test/process"
)

// stage holds all programs that run, and their files in one directory:
//
//	exporters ──► promrelay ──► receiver
//	                 ▲
//	  manifests/, promrelay.yml
type stage struct {
	addresses addresses
	cluster   *cluster
	pages     []*server // of this process

	nodeExporter *peers.Server
	receiver     *peers.Receiver
	relay        *peers.Relay
}

// startStage starts everything, the relay last. The caller stops the stage, also after an error.
func startStage(ctx context.Context, dir string, bin binaries) (*stage, error) {
	s := &stage{cluster: newCluster()}
	var err error
	if s.addresses, err = newAddresses(); err != nil {
		return s, err
	}
	if err := s.startExporters(dir); err != nil {
		return s, err
	}
	s.nodeExporter, err = peers.StartNodeExporter(ctx, peers.Options{
		Dir: filepath.Join(dir, "node-exporter"), Binary: bin.nodeExporter, Address: s.addresses.NodeExporter.String(),
	})
	if err != nil {
		return s, err
	}
	s.receiver, err = peers.StartPrometheus(ctx, peers.Options{
		Dir: filepath.Join(dir, "receiver"), Binary: bin.receiver, Address: s.addresses.Receiver.String(),
	})
	if err != nil {
		return s, err
	}
	if err := writeFiles(dir, s.addresses); err != nil {
		return s, err
	}
	s.relay, err = peers.StartRelay(ctx, peers.RelayOptions{
		Dir: dir, Binary: bin.relay, ConfigFile: filepath.Join(dir, "promrelay.yml"), Address: s.addresses.Relay.String(),
	})
	return s, err
}

// startExporters starts the exporters that this process serves itself.
func (s *stage) startExporters(dir string) error {
	token, certificate := filepath.Join(dir, "token"), filepath.Join(dir, "kubelet-ca.crt")
	if err := os.WriteFile(token, []byte(kubeletToken), 0o600); err != nil {
		return err
	}
	tlsConfig, ca, err := newCertificate("127.0.0.1")
	if err != nil {
		return err
	}
	if err := os.WriteFile(certificate, ca, 0o644); err != nil {
		return err
	}
	for _, e := range []*server{
		{address: s.addresses.Checkout[0], handler: newCheckout()},
		{address: s.addresses.Checkout[1], handler: newCheckout()},
		{address: s.addresses.Worker, handler: newWorker()},
		{address: s.addresses.KubeStateMetrics, handler: onlyMetrics(s.cluster.stateMetrics)},
		{address: s.addresses.KubeProxy, handler: onlyMetrics(s.cluster.kubeProxy)},
		{address: s.addresses.Kubelet, handler: s.cluster.kubelet(), tls: tlsConfig},
	} {
		if err := e.start(); err != nil {
			return err
		}
		s.pages = append(s.pages, e)
	}
	return nil
}

// stop stops the relay first, so that the receiver still gets what was scraped.
func (s *stage) stop() error {
	var errs []error
	var running []*peers.Server
	if s.relay != nil {
		running = append(running, s.relay.Server)
	}
	running = append(running, s.nodeExporter)
	if s.receiver != nil {
		running = append(running, s.receiver.Server)
	}
	for _, r := range running {
		if r == nil || r.Process().Ended() { // somebody has ended it
			continue
		}
		errs = append(errs, r.Stop())
	}
	for _, p := range s.pages {
		errs = append(errs, p.stop())
	}
	return errors.Join(errs...)
}

// ended returns a channel of errors, one for each program that ends by itself.
func (s *stage) ended() <-chan error {
	out := make(chan error, 3)
	for name, p := range map[string]*process.Process{
		"promrelay": s.relay.Process(), "the receiver": s.receiver.Process(), "node_exporter": s.nodeExporter.Process(),
	} {
		go func() {
			<-p.Done()
			err := p.Err()
			if err == nil {
				err = errors.New("it exited with 0")
			}
			out <- fmt.Errorf("%s ended by itself: %w", name, err)
		}()
	}
	return out
}

// welcome prints where to look and what to try.
func (s *stage) welcome() {
	fmt.Printf(`
promrelay is running. It reads the manifests of a cluster that does not exist.

  targets, and why some lack     %s/targets
  its own metrics                %s/metrics
  its configuration              %s (SIGHUP: kill -1 %d)
  the manifests (edit them)      %s
  log of the relay               %s
  log of the receiver            %s

The receiver is a Prometheus. A query to try:

  curl -sG %s --data-urlencode 'query=sum by (job) (up)'
  curl -sG %s --data-urlencode 'query=histogram_quantile(0.9, sum by (le) (rate(checkout_request_duration_seconds_bucket[1m])))'
  curl -sG %s --data-urlencode 'query=sum by (namespace, pod) (rate(container_cpu_usage_seconds_total{container!=""}[1m]))'

Play with it: end a program, and look. It is started again.

`, s.relay.URL(), s.relay.URL(), s.relay.ConfigFile, s.relay.Process().Pid(), filepath.Join(filepath.Dir(s.relay.ConfigFile), "manifests"),
		s.relay.Log(), s.receiver.Log(), s.receiver.QueryURL(), s.receiver.QueryURL(), s.receiver.QueryURL())
	for _, k := range s.kept() {
		fmt.Printf("  %-30s %s\n", fmt.Sprintf("%s %d", k.kill, k.server.Process().Pid()), fmt.Sprintf("ends %s for %s. Look at %s", k.name, k.away, k.look))
	}
	fmt.Printf(`
Then ask whether samples are missing: checkout is scraped every 5 s, so each minute in which the relay ran has 12.

  curl -sG %s --data-urlencode 'query=count_over_time(up{job="checkout"}[1m])'

On purpose: the target of the monitor "legacy" is down, "bad-regex" is rejected, "selects-nothing" has no targets.
Ctrl-C stops everything and removes its files.
`, s.receiver.QueryURL())
}
