package web

import (
	"encoding/json"
	"net/http"
	"testing"

	"promrelay/targets"
)

// TestExplainAPI answers in Prometheus's envelope, and refuses what is no subject.
func TestExplainAPI(t *testing.T) {
	server, srv := newServer(t, nil)
	server.Ready(Sources{Explain: func(s targets.Subject) targets.Explanation {
		return targets.Explanation{Subject: s, Outcome: targets.OutcomeOK, Summary: "1 target is scraped"}
	}})
	for query, want := range map[string]struct {
		status  int
		subject targets.Subject
		err     string
	}{
		"kind=smon&namespace=shop&name=web":     {200, targets.Subject{Kind: "ServiceMonitor", Namespace: "shop", Name: "web"}, ""},
		"kind=PodMonitor&name=shop/web":         {200, targets.Subject{Kind: "PodMonitor", Namespace: "shop", Name: "web"}, ""},
		"kind=node&name=n1":                     {200, targets.Subject{Kind: "Node", Name: "n1"}, ""},
		"kind=target&name=http://a:1/metrics":   {200, targets.Subject{Kind: "Target", Name: "http://a:1/metrics"}, ""},
		"kind=servicemonitr&namespace=a&name=b": {400, targets.Subject{}, `kind "servicemonitr", did you mean "servicemonitor"?`},
		"kind=servicemonitor&name=web":          {400, targets.Subject{}, `"web": want NAMESPACE/NAME of a ServiceMonitor`},
		"kind=node&namespace=shop&name=web":     {400, targets.Subject{}, `namespace "shop": a Node has none`},
		"kind=servicemonitor&namespace=shop":    {400, targets.Subject{}, "name is missing"},
	} {
		status, body := ask(t, http.MethodGet, srv.URL+"/api/v1/explain?"+query)
		var got struct {
			Status, Error string
			Data          targets.Explanation
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		if status != want.status || got.Error != want.err || got.Data.Subject != want.subject || (got.Status == "success") != (want.status == 200) {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
}
