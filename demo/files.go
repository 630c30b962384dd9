package main

import (
	"embed"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"

	"promrelay/test/process"
)

// Values that the templates and the exporters share.
const (
	nodeName         = "demo-node"
	kubeletToken     = "demo-kubelet-token"
	checkoutUser     = "promrelay"
	checkoutPassword = "correct horse battery staple"
)

//go:embed promrelay.yml files.json manifests
var templates embed.FS

// address is where something listens.
type address struct {
	Host string
	Port int
}

func (a address) String() string { return net.JoinHostPort(a.Host, strconv.Itoa(a.Port)) }

// addresses are the values for the templates.
type addresses struct {
	Relay, Receiver                        address
	NodeExporter, Worker, KubeStateMetrics address
	Kubelet, KubeProxy                     address
	Checkout                               [2]address // the two pods of one Service
	Closed                                 address    // nothing listens here
	Node, User, Password                   string
}

func newAddresses() (addresses, error) {
	a := addresses{Node: nodeName, User: checkoutUser, Password: checkoutPassword}
	for _, one := range []*address{
		&a.Relay, &a.Receiver, &a.NodeExporter, &a.Worker, &a.KubeStateMetrics, &a.Kubelet, &a.KubeProxy,
		&a.Checkout[0], &a.Checkout[1], &a.Closed,
	} {
		text, err := process.FreeAddress("")
		if err != nil {
			return a, err
		}
		host, port, err := net.SplitHostPort(text)
		if err != nil {
			return a, err
		}
		one.Host = host
		if one.Port, err = strconv.Atoi(port); err != nil {
			return a, err
		}
	}
	return a, nil
}

// writeFiles writes the configuration and the manifests into dir.
func writeFiles(dir string, a addresses) error {
	all, err := template.New("").Option("missingkey=error").ParseFS(templates, "promrelay.yml", "files.json", "manifests/*.yaml")
	if err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(dir, "manifests"), 0o755); err != nil {
		return err
	}
	for _, t := range all.Templates() {
		if t.Name() == "" {
			continue
		}
		path := filepath.Join(dir, t.Name())
		if strings.HasSuffix(path, ".yaml") {
			path = filepath.Join(dir, "manifests", t.Name())
		}
		if err := writeTemplate(path, t, a); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
	}
	return nil
}

func writeTemplate(path string, t *template.Template, a addresses) error {
	var text strings.Builder
	if err := t.Execute(&text, a); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text.String()), 0o644)
}
