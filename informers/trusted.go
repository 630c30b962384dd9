package informers

import (
	"errors"
	"fmt"
	"net/netip"

	discoveryv1 "k8s.io/api/discovery/v1"

	"promrelay/informers/objects"
	"promrelay/targets"
)

// apiServerService is the key of the Service of the API server.
const apiServerService = "default/kubernetes"

// Trusted returns an error if the token of the relay's service account may not be sent to an address. It may be sent to kubelets and API
// servers only, as the objects name them now. Objects of a directory of manifests prove nothing: whoever may write a monitor there may
// write a Node as well.
func (d *Discovery) Trusted(at netip.AddrPort) error {
	if d.isDirectory() {
		return errors.New("with manifests it is sent nowhere by a monitor, for whoever writes the monitor may write a Node or an EndpointSlice there, too")
	}
	return d.trustedByObjects(at)
}

func (d *Discovery) trustedByObjects(at netip.AddrPort) error {
	nodes := d.watched["nodes"]
	if len(nodes.indexed(objects.ByKubelet, at.String())) > 0 || d.isAPIServer(at) {
		return nil
	}
	if why := nodes.why(); why != "" {
		return fmt.Errorf("the Nodes are not known, nodes: %s", why)
	}
	if !nodes.listed() {
		return errors.New("the Nodes are not known yet")
	}
	return fmt.Errorf("%s is neither the kubelet of a Node nor an API server", at)
}

// isAPIServer reports whether an address is an endpoint of the API server's Service.
func (d *Discovery) isAPIServer(at netip.AddrPort) bool {
	slices := d.watched["endpointslices"]
	for _, key := range slices.indexed(objects.ByService, apiServerService) {
		obj, ok, err := slices.GetByKey(key)
		if s, is := obj.(*discoveryv1.EndpointSlice); ok && err == nil && is && hasEndpoint(s, at) {
			return true
		}
	}
	return false
}

func hasEndpoint(s *discoveryv1.EndpointSlice, at netip.AddrPort) bool {
	for _, p := range s.Ports {
		if p.Port == nil || *p.Port != int32(at.Port()) {
			continue
		}
		for i := range s.Endpoints {
			for _, a := range s.Endpoints[i].Addresses {
				if addr, err := netip.ParseAddr(a); err == nil && addr.Unmap() == at.Addr() {
					return true
				}
			}
		}
	}
	return false
}

// tokenNotes says, offline only, which targets of a job the relay would not scrape because they would get its own token.
func (d *Discovery) tokenNotes(j *targets.Job) []string {
	if !d.offline || !j.OwnToken {
		return nil
	}
	all := d.state.set.Targets(j.Name)
	if err := j.TokenNowhere(); err != nil && len(all) == 0 {
		return []string{"each target will be down: " + err.Error()}
	}
	down := 0
	var first error
	for _, t := range all {
		if err := t.CheckToken(func(at netip.AddrPort) error { return d.trustedOffline(t, at) }); err != nil {
			if down++; first == nil {
				first = err
			}
		}
	}
	if down == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d of %d targets will be down, such as this one: %v", down, len(all), first)}
}

// trustedOffline returns what Trusted would return in the cluster that the manifests are for, as far as the manifests show it: they may
// have no Nodes, and only Endpoints of the API server.
func (d *Discovery) trustedOffline(t *targets.Target, at netip.AddrPort) error {
	found := t.Discovered()
	if found.Get("__meta_kubernetes_namespace")+"/"+found.Get("__meta_kubernetes_service_name") == apiServerService {
		return nil
	}
	if at.Port() == targets.KubeletPort && len(d.watched["nodes"].keys()) == 0 {
		return nil
	}
	return d.trustedByObjects(at)
}
