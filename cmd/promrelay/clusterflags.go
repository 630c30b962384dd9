package main

import (
	"os"

	"github.com/alecthomas/kingpin/v2"
	"k8s.io/client-go/tools/clientcmd"

	"promrelay/config"
	"promrelay/informers/cluster"
)

// clusterOptions say which cluster a command reads.
type clusterOptions struct{ Kubeconfig, Context string }

func (o *clusterOptions) flags(c *kingpin.CmdClause) {
	c.Flag("kubeconfig", "A kubeconfig. (default $KUBECONFIG, else ~/.kube/config, else the pod's service account)").StringVar(&o.Kubeconfig)
	c.Flag("context", "A context of the kubeconfig. (default its current one)").StringVar(&o.Context)
}

// block is the block kubernetes of a configuration that reads the cluster.
func (o clusterOptions) block() *config.Kubernetes {
	k := &config.Kubernetes{Kubeconfig: o.Kubeconfig, Context: o.Context}
	if k.Kubeconfig == "" {
		k.Kubeconfig = os.Getenv(clientcmd.RecommendedConfigPathEnvVar)
	}
	if _, err := os.Stat(clientcmd.RecommendedHomeFile); k.Kubeconfig == "" && err == nil {
		k.Kubeconfig = clientcmd.RecommendedHomeFile
	}
	return k
}

func (o clusterOptions) connect() (*cluster.Cluster, error) {
	return cluster.New(o.block(), name+"/"+version, nil)
}
