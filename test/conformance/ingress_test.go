package conformance

import (
	"embed"
	"encoding/base64"
	"fmt"
)

//go:embed testdata/pki
var pki embed.FS

func (g *gen) ingress(i int) object {
	o := meta("Ingress", "networking.k8s.io/v1", pick(g, namespaceNames...), fmt.Sprintf("ingress%d", i))
	o["metadata"].(dict)["labels"] = g.labels()
	backend := dict{"service": dict{"name": "app0", "port": dict{"number": 80}}}
	var rules []any
	for n := range 1 + g.IntN(2) {
		rule := dict{}
		if g.chance(0.8) {
			rule["host"] = fmt.Sprintf("host%d.example", n)
		}
		if g.chance(0.8) {
			rule["http"] = dict{"paths": []any{
				dict{"path": pick(g, "/", "/a", ""), "pathType": "Prefix", "backend": backend},
				dict{"path": "/b", "pathType": "Prefix", "backend": backend},
			}}
		}
		g.rarely(
			func() { rule["host"] = pick(g, "*.example", "host0.example") },
			func() { rule["http"] = dict{"paths": []any{}} },
			func() {
				rule["http"] = dict{"paths": []any{dict{"path": pick(g, "/a;b", "/é x", "/x?y=1#z"), "pathType": "Exact", "backend": backend}}}
			},
			func() {
				rule["http"] = dict{"paths": []any{dict{"pathType": "ImplementationSpecific", "backend": backend}}}
			},
		)
		rules = append(rules, rule)
	}
	spec := dict{"rules": rules}
	if g.chance(0.4) {
		spec["tls"] = []any{dict{"hosts": some(g, "host0.example", "*.example")}}
	}
	if g.chance(0.4) {
		spec["ingressClassName"] = "nginx"
	}
	g.rarely(
		func() { spec["tls"] = []any{dict{"secretName": "tls"}} },
		func() { delete(spec, "rules"); spec["defaultBackend"] = backend },
		func() {
			o["metadata"].(dict)["annotations"] = dict{"kubernetes.io/ingress.class": "nginx", "lines": "a\nb"}
		},
		func() { delete(o["metadata"].(dict), "labels") },
	)
	o["spec"] = spec
	return o
}

// credentials are the Secrets and ConfigMaps that monitors of a namespace refer to.
func (g *gen) credentials(ns string) []object {
	crt, other := file("client.crt"), file("other.crt")
	bundle := string(crt) + "\n# another\n" + string(other)
	secret := meta("Secret", "v1", ns, "creds")
	secret["data"] = dict{
		"user": encode([]byte("user")), "password": encode([]byte("s3cret " + ns)), "token": encode([]byte("t0ken")), "id": encode([]byte("client")),
		"crt": encode(crt), "key": encode(file("client.key")), "other": encode(file("other.key")), "empty": "",
		"uuid": encode([]byte("6170692e-7363-616c-6577-61792e636f6d")), "junk": encode([]byte("no certificate")), "bundle": encode([]byte(bundle)),
	}
	cm := meta("ConfigMap", "v1", ns, "public")
	cm["data"] = dict{"id": "client-of-map", "crt": string(crt), "junk": "no certificate", "empty": "", "bundle": bundle}
	return []object{secret, cm}
}

func encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func file(name string) []byte {
	b, err := pki.ReadFile("testdata/pki/" + name)
	if err != nil {
		panic(err)
	}
	return b
}
