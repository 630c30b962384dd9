package informers

import (
	"strings"
	"testing"

	"promrelay/targets"
)

// TestExplain has the first sentence and the mend of monitors, of all steps that need no scrapes.
func TestExplain(t *testing.T) {
	service, monitor := with(whyService, ""), with(whyMonitor1, "")
	endpoints := slice("addressType: IPv4\nports: [{name: web, port: 8080}, {name: admin, port: 81}]\nendpoints: [{addresses: [10.0.0.1]}]")
	all := service + endpoints
	for name, c := range map[string]struct {
		config, objects, summary, mend string
		broken                         targets.StepName // empty: none
	}{
		"well": {objects: monitor + all, summary: "1 target is scraped, 1 dropped"},
		"wrong label": {
			objects: strings.ReplaceAll(monitor, "app: cart", "app: cart-frontend") + all, broken: targets.StepObjects,
			summary: "no Service in namespace shop matches its selector app=cart-frontend (1 Service there): the closest one, Service shop/cart, has app=cart",
			mend:    "set app: cart in the selector of ServiceMonitor shop/cart, or the label app=cart-frontend on Service shop/cart",
		},
		"another label of this value": {
			objects: strings.ReplaceAll(monitor, "app: cart", "app.kubernetes.io/name: cart") + all, broken: targets.StepObjects,
			summary: "has no label app.kubernetes.io/name, but app=cart", mend: "set app: cart in the selector",
		},
		"wrong namespace": {
			objects: monitor + strings.ReplaceAll(all, "namespace: shop", "namespace: b"), broken: targets.StepObjects,
			summary: "b/cart matches: namespaceSelector leaves namespace b out", mend: "set namespaceSelector: {matchNames: [b]} in ServiceMonitor shop/cart",
		},
		"wrong port": {
			objects: strings.ReplaceAll(monitor, "port: web", "port: webb") + all, broken: targets.StepEndpoints,
			summary: `endpoints[0].port is "webb"; the ports of Service shop/cart are admin (81), web (8080)`, mend: "set endpoints[0].port: web in ServiceMonitor shop/cart",
		},
		"the number of a port": {
			objects: strings.ReplaceAll(monitor, "port: web", `port: "8080"`) + all, broken: targets.StepEndpoints,
			summary: `endpoints[0].port is "8080"`, mend: "endpoints[0].port takes the name of a port, not its number: set endpoints[0].port: web in ServiceMonitor shop/cart",
		},
		"the name of a port as targetPort": {
			objects: strings.ReplaceAll(monitor, "port: web", `targetPort: web`) + all, broken: targets.StepEndpoints,
			mend: "web is the name of the Service's port: set endpoints[0].port: web in place of targetPort in ServiceMonitor shop/cart",
		},
		"dropped by a rule": {
			objects: strings.ReplaceAll(monitor, "{port: web}", "{port: web, relabelings: [{action: keep, sourceLabels: [__meta_kubernetes_service_name], regex: checkout}]}") + all, broken: targets.StepTargets,
			summary: `endpoints[0].relabelings[0]: keep where __meta_kubernetes_service_name matches "checkout"; source value is "cart"`, mend: "change or remove endpoints[0].relabelings[0] of ServiceMonitor shop/cart",
		},
		"not selected": {
			config: "monitors: {serviceMonitorSelector: {matchLabels: {release: prom}}}", objects: monitor + all, broken: targets.StepSelected,
			summary: `its labels do not match monitors.serviceMonitorSelector "release=prom": it has no label release`, mend: "set the label release=prom on ServiceMonitor shop/cart",
		},
		"bad regex": {
			objects: strings.ReplaceAll(monitor, "{port: web}", "{port: web, relabelings: [{action: keep, sourceLabels: [a], regex: '(a'}]}") + all, broken: targets.StepAccepted,
			summary: `endpoints[0]: relabelings[0]: invalid regex "(a"`, mend: "correct the regular expression in ServiceMonitor shop/cart",
		},
		"missing Secret": {
			objects: strings.ReplaceAll(monitor, "{port: web}", "{port: web, authorization: {credentials: {name: token, key: t}}}") + all, broken: targets.StepAccepted,
			summary: "Secret shop/token", mend: "create the Secret shop/token with the key t",
		},
		"missing key": {
			objects: strings.ReplaceAll(monitor, "{port: web}", "{port: web, authorization: {credentials: {name: token, key: t}}}") + all + "apiVersion: v1\nkind: Secret\nmetadata: {name: token, namespace: shop}\nstringData: {token: a}\n", broken: targets.StepAccepted,
			summary: `it has no such key, only ["token"]`, mend: "name one of its keys in ServiceMonitor shop/cart, or give Secret shop/token the key t",
		},
		"no monitor": {
			objects: strings.ReplaceAll(monitor, "name: cart,", "name: carts,") + all, broken: targets.StepSelected,
			summary: "there is no ServiceMonitor shop/cart, did you mean carts?", mend: "create it, or correct its name",
		},
		"monitor elsewhere": {
			objects: strings.ReplaceAll(monitor, "namespace: shop}", "namespace: b}") + all, broken: targets.StepSelected,
			summary: "there is no ServiceMonitor shop/cart, but there is ServiceMonitor b/cart", mend: "create it, or correct its name",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.config == "" {
				c.config = "monitors: {}"
			}
			w := newWorld(t, c.config, map[string]string{"all.yaml": c.objects})
			within(t, "all is worked off", w.d.Settled)
			x := w.d.Explain(targets.Subject{Kind: "ServiceMonitor", Namespace: "shop", Name: "cart"}, targets.Live{})
			if !strings.Contains(x.Summary, c.summary) || !strings.Contains(x.Mend, c.mend) || (x.Mend == "") != (c.mend == "") {
				t.Errorf("summary %s\nwant    %s\nmend %s\nwant %s", x.Summary, c.summary, x.Mend, c.mend)
			}
			if len(x.Steps) != 8 {
				t.Errorf("%d steps", len(x.Steps))
			}
			var broken targets.StepName
			for _, s := range x.Steps {
				if s.Outcome == targets.OutcomeBroken && broken == "" {
					broken = s.Name
				}
				if s.Text == "" {
					t.Errorf("step %s has no text", s.Name)
				}
			}
			if broken != c.broken {
				t.Errorf("step %q is broken, want %q", broken, c.broken)
			}
			for _, m := range w.d.Monitors() { // the list has the same sentence
				if c.broken != "" && m.Owner.Name == "cart" && m.Owner.Namespace == "shop" && m.Why+m.Reason != x.Summary {
					t.Errorf("the list says %s%s", m.Reason, m.Why)
				}
			}
		})
	}
}

// TestExplainTraces names the rules that changed and dropped targets, with the labels before and after.
func TestExplainTraces(t *testing.T) {
	monitor := strings.ReplaceAll(with(whyMonitor1, ""), "{port: web}", "{port: web, relabelings: [{targetLabel: team, replacement: a}]}")
	w := newWorld(t, "monitors: {}", map[string]string{
		"all.yaml": monitor + with(whyService, "") + slice("addressType: IPv4\nports: [{name: web, port: 80}, {name: admin, port: 81}]\nendpoints: [{addresses: [10.0.0.1]}]"),
	})
	within(t, "all is worked off", w.d.Settled)
	x := w.d.Explain(targets.Subject{Kind: "ServiceMonitor", Namespace: "shop", Name: "cart"}, targets.Live{})
	if len(x.Jobs) != 1 || len(x.Jobs[0].Targets) != 2 {
		t.Fatalf("got %+v", x)
	}
	dropped, live := x.Jobs[0].Targets[0], x.Jobs[0].Targets[1]
	last := dropped.Rules[len(dropped.Rules)-1]
	if !last.Dropped || last.Origin != "endpoints[0].port is web" || last.Own || last.Before["__meta_kubernetes_endpointslice_port_name"] != "admin" || dropped.URL != "" {
		t.Errorf("dropped by %+v", last)
	}
	own := live.Rules[len(live.Rules)-1]
	if !own.Own || own.Origin != "endpoints[0].relabelings[0]" || own.Rule != `set team to "a"` || own.Before["team"] != "" || own.After["team"] != "a" {
		t.Errorf("the author's rule did %+v", own)
	}
	if live.URL != "http://10.0.0.1:80/metrics" || live.Labels["team"] != "a" || live.Labels["__address__"] != "" {
		t.Errorf("got %+v", live)
	}
}
