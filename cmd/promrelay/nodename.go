package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/alecthomas/kingpin/v2"
	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/util/validation"
)

// nodeName is the flag that puts a relay into node mode.
type nodeName struct {
	Name  string // of a Node; empty for a central relay
	Given bool   // the flag is there
}

const nodeFlag = "kubernetes.node-name"

func (n *nodeName) flag(c *kingpin.CmdClause) {
	c.Flag(nodeFlag, "Node mode: scrape only what the block node_mode covers on the Node of this name. In a DaemonSet: --"+nodeFlag+"=$(NODE_NAME).").
		IsSetByUser(&n.Given).StringVar(&n.Name)
}

// check refuses a name that no Node can have. It never takes a DaemonSet's pod for a central relay: there would be one on each Node.
func (n nodeName) check() error {
	const wanted = "want the metadata.name of a Node; in a DaemonSet set the environment variable NODE_NAME of the container by fieldRef spec.nodeName"
	switch {
	case !n.Given:
		return nil
	case n.Name == "":
		return errors.New("--" + nodeFlag + " is empty: " + wanted)
	case strings.HasPrefix(n.Name, "$("):
		return fmt.Errorf("--%s=%s: the container has no such environment variable: %s", nodeFlag, n.Name, wanted)
	}
	if wrong := validation.IsDNS1123Subdomain(n.Name); len(wrong) > 0 {
		return fmt.Errorf("--%s=%s: no Node can have this name: %s", nodeFlag, n.Name, strings.Join(wrong, "; "))
	}
	return nil
}

// onNode is the field of the log with the Node of a relay in node mode.
func onNode(name string) zap.Field {
	if name == "" {
		return zap.Skip()
	}
	return zap.String("node", name)
}
