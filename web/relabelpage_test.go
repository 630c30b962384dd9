package web

import (
	"html"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/relabel"

	"promrelay/targets"
)

func TestParseLabels(t *testing.T) {
	for text, want := range map[string]string{
		"":                                `{}`,
		"a=\"1\"\nb: 2\n c = 3 \n":        `{a="1", b="2", c="3"}`,
		"{\na=\"1\",\nb=\"x\\\"y\",\n}":   `{a="1", b="x\"y"}`,
		`{"a": "1", "__meta_b": "c"}`:     `{__meta_b="c", a="1"}`,
		"address: 10.0.0.1:80":            `{address="10.0.0.1:80"}`,
		"a=\"1\", b=\"2\"":                "error: line 1",
		"nonsense":                        `error: line 1 is "nonsense"; want name="value"`,
		"a=1\n=2":                         "error: line 2",
		"a=" + strings.Repeat("x", 70000): "error: the labels have 68.4",
	} {
		ls, err := parseLabels(text)
		got := ls.String()
		if err != nil {
			got = "error: " + err.Error()
		}
		if !strings.HasPrefix(got, want) || err == nil && got != want {
			t.Errorf("%.40q: got %s, want %s", text, got, want)
		}
	}
}

func TestParseRules(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "",
		"- {action: drop, regex: a}": "",
		"- {sourceLabels: [a], targetLabel: b, action: Replace}": "",
		"- {source_label: [a]}":                                  "field source_label not found",
		"- {regex: '('}":                                         "rule 0: error parsing regexp",
		"- {action: labeldrop}\n- {action: gone}":                "rule 1: unknown relabel action",
		"- {action: replace}":                                    "rule 0: relabel configuration for replace action requires 'target_label' value",
		"a: b":                                                   "want a YAML list of relabel rules",
		"- {target_label: a, replacement: " + strings.Repeat("$1", 30) + "}":     "names more than 20 groups",
		"- {target_label: a, replacement: " + strings.Repeat("x", 5000) + "}":    "longer than 4000 bytes",
		"- {target_label: a, source_labels: [" + strings.Repeat("a,", 30) + "]}": "30 source labels",
		strings.Repeat("- {target_label: a}\n", 201):                             "there are 201",
	} {
		_, err := parseRules(text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.60q: got %v, want %q", text, err, want)
		}
	}
}

// Rules that the page writes are the rules that it reads.
func TestRulesText(t *testing.T) {
	w := newWorld(t)
	rules := w.monitors[0].Jobs[0].Job.Config.RelabelConfigs
	rules = append(rules, &relabel.Config{
		Action: relabel.Replace, Separator: "-", SourceLabels: nil, Regex: relabel.MustNewRegexp(`(.+)"\d`), Replacement: "", TargetLabel: "x", NameValidationScheme: rules[0].NameValidationScheme,
	}, &relabel.Config{
		Action: relabel.HashMod, Separator: ";", Modulus: 7, Regex: relabel.DefaultRelabelConfig.Regex, Replacement: "$1", TargetLabel: "__tmp", NameValidationScheme: rules[0].NameValidationScheme,
	})
	read, err := parseRules(rulesText(rules))
	if err != nil || len(read) != len(rules) {
		t.Fatalf("%v: %d rules of\n%s", err, len(read), rulesText(rules))
	}
	for i := range rules {
		if rulesText(read[i:i+1]) != rulesText(rules[i:i+1]) || read[i].Regex.String() != rules[i].Regex.String() {
			t.Errorf("rule %d: %+v became %+v", i, rules[i], read[i])
		}
	}
	secret := []*relabel.Config{{Action: relabel.Replace, Separator: ";", Regex: relabel.DefaultRelabelConfig.Regex, Replacement: "hunter2", TargetLabel: "__param_token"}}
	if text := rulesText(secret); strings.Contains(text, "hunter2") {
		t.Errorf("a secret is shown: %s", text)
	}
}

func TestRelabelDebugger(t *testing.T) {
	s, srv := newServer(t, nil)
	w := newWorld(t)
	s.Ready(w.sources())
	const job = "serviceMonitor/shop/cart/0"
	_, body := ask(t, "GET", srv.URL+"/relabel")
	if !strings.Contains(body, `<option value="`+job+`">`) || strings.Contains(body, "Each rule") {
		t.Errorf("without a choice: %s", body)
	}
	// The first target of the job is the dropped one.
	_, body = ask(t, "GET", srv.URL+"/relabel?job="+url.QueryEscape(job))
	for _, want := range []string{"Rule 0 drops the target.", `<option value="d`, " selected", "relabel_configs[0]", "service cart"} {
		if !strings.Contains(html.UnescapeString(body), want) {
			t.Errorf("the job's page lacks %q: %s", want, body)
		}
	}
	target := w.statuses[job][0].Target
	byLabels := idOfDropped(targets.Dropped{Discovered: target.Discovered().Map()})
	for _, id := range []string{idOf(target), byLabels} {
		_, body = ask(t, "GET", srv.URL+"/relabel?job="+url.QueryEscape(job)+"&target="+id)
		if !strings.Contains(body, "<h2>Result</h2>") || !strings.Contains(html.UnescapeString(body), `<code>port="web"</code>`) {
			t.Errorf("target %s: %s", id, body)
		}
	}
	post := func(form url.Values) (int, string) {
		r, err := http.PostForm(srv.URL+"/relabel", form)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, html.UnescapeString(string(text))
	}
	for name, c := range map[string]struct{ labels, rules, want string }{
		"changed": {`a="1"`, "- {source_labels: [a], target_label: b, replacement: x$1}", "<b>b</b>  <ins>x1</ins>"},
		"removed": {`a="1"`, "- {action: labeldrop, regex: a}", "<b>a</b> <del>1</del>"},
		"dropped": {`a="1"`, "- {action: drop, source_labels: [a], regex: 1}\n- {target_label: c, replacement: d}", "not reached"},
		"nothing": {`a="1"`, "- {action: labeldrop, regex: b}", `<span class="soft">none</span>`},
		"wrong":   {`a="1"`, "- {action: keep, regex: '('}", "Rules: rule 0: error parsing regexp"},
		"grows":   {`a="` + strings.Repeat("x", 10000) + `"`, strings.Repeat("- {source_labels: [a], target_label: a, replacement: $1$1}\n", 4), "Rules: after rule 2 the labels have"},
	} {
		status, body := post(url.Values{"job": {job}, "labels": {c.labels}, "rules": {c.rules}})
		if status != http.StatusOK || !strings.Contains(body, c.want) {
			t.Errorf("%s: %d, no %q in %s", name, status, c.want, body)
		}
	}
	if status, _ := post(url.Values{"labels": {strings.Repeat("x", relabelBody)}}); status != http.StatusRequestEntityTooLarge {
		t.Errorf("too much gets %d", status)
	}
}
