package main

import (
	"context"
	"strings"

	promop "github.com/prometheus-operator/prometheus-operator/pkg/prometheus"
	corev1 "k8s.io/api/core/v1"
)

// configuration is what the operator writes for the PrometheusAgent, without jobs of monitors. POD_NAME is that of its first pod.
func (o *theOperator) configuration(ctx context.Context) (string, error) {
	cg, err := promop.NewConfigGenerator(silent, o.agent, promop.WithEndpointSliceSupport(), promop.WithInlineTLSConfig())
	if err != nil {
		return "", err
	}
	if err := cg.AddRemoteWriteToStore(ctx, o.store, o.agent.Namespace, o.agent.Spec.RemoteWrite); err != nil {
		return "", err
	}
	var additional []byte
	if ref := o.agent.Spec.AdditionalScrapeConfigs; ref != nil {
		for _, obj := range o.all["Secret"] {
			if s := obj.(*corev1.Secret); s.Name == ref.Name && s.Namespace == o.agent.Namespace {
				additional = s.Data[ref.Key]
			}
		}
	}
	text, err := cg.GenerateAgentConfiguration(nil, nil, nil, nil, o.store, additional)
	return strings.ReplaceAll(string(text), "$(POD_NAME)", "prom-agent-"+o.agent.Name+"-0"), err
}
