package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// shopRelay is a relay that scrapes a shop each second and sends to a receiver that takes everything.
func shopRelay(t *testing.T, args ...string) *program {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", "1")
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = io.WriteString(w, "# HELP orders_total Orders.\n# TYPE orders_total counter\norders_total 42\n")
	}))
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "promrelay.yml")
	write(t, path, fmt.Sprintf(`
global: {scrape_interval: 1s, scrape_timeout: 1s, external_labels: {cluster: eu-1}}
scrape_configs:
- {job_name: shop, static_configs: [{targets: [%q]}], relabel_configs: [{target_label: team, replacement: a}]}
remote_write:
- {name: central, url: %s/write, queue_config: {batch_send_deadline: 50ms}}
`, strings.TrimPrefix(server.URL, "http://"), server.URL))
	p := start(t, path, args...)
	p.await("the shop is scraped", func() bool { return strings.Contains(p.get("/api/v1/targets"), `"health":"up"`) })
	return p
}

var (
	curl    = regexp.MustCompile("(?m)^curl -s (?:-G )?'http://localhost:9099([^']*)'(.*)\n```\n(?:\n```json\n((?s:.*?))^```)?")
	curlArg = regexp.MustCompile(`--data-urlencode '([^']*)'`)
	taps    = regexp.MustCompile(`(?m)^promrelay tap .*$`)
)

// documentOf returns a page of docs/.
func documentOf(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// request returns the path and the query of a match of curl.
func request(match []string) string {
	q := url.Values{}
	for _, arg := range curlArg.FindAllStringSubmatch(match[2], -1) {
		name, value, _ := strings.Cut(arg[1], "=")
		q.Add(name, value)
	}
	if len(q) == 0 {
		return match[1]
	}
	return match[1] + "?" + q.Encode()
}

// TestExamplesOfTheAPI: each request of docs/api.md is answered, and the answer has what the page shows.
func TestExamplesOfTheAPI(t *testing.T) {
	p := shopRelay(t)
	examples := curl.FindAllStringSubmatch(documentOf(t, "api.md"), -1)
	if len(examples) != 9 {
		t.Errorf("%d examples", len(examples))
	}
	for _, e := range examples {
		var want, got any
		if err := json.Unmarshal([]byte(e[3]), &want); err != nil {
			t.Fatalf("%s: %v in %s", e[1], err, e[3])
		}
		body := p.get(request(e))
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Errorf("%s: %v in %s", e[1], err, body)
		}
		if missing := lacks(got, want); missing != "" {
			t.Errorf("%s: the answer lacks %s: %s", e[1], missing, body)
		}
	}
}

// lacks returns a key of want that got does not have, or has with a value of another type; empty if there is none.
func lacks(got, want any) string {
	switch want := want.(type) {
	case map[string]any:
		of, ok := got.(map[string]any)
		if !ok {
			return fmt.Sprintf("an object with the keys of %v", want)
		}
		for k := range want {
			if missing := lacks(of[k], want[k]); missing != "" {
				return k + ": " + missing
			}
		}
	case []any:
		of, ok := got.([]any)
		if !ok || len(of) != len(want) {
			return fmt.Sprintf("a list of %d", len(want))
		}
		for i := range want {
			if missing := lacks(of[i], want[i]); missing != "" {
				return missing
			}
		}
	default:
		if fmt.Sprintf("%T", got) != fmt.Sprintf("%T", want) {
			return fmt.Sprintf("a %T", want)
		}
	}
	return ""
}

// TestTapOfTheProgram runs the commands of docs/tap.md.
func TestTapOfTheProgram(t *testing.T) {
	off := shopRelay(t)
	if out, err := exec.Command(built(t), "tap", "--url="+off.url).CombinedOutput(); err == nil || string(out) != "promrelay: --url="+off.url+": taps are off, since samples may be confidential: start promrelay with --web.enable-tap\n" {
		t.Errorf("without the flag: %v, %s", err, out)
	}
	p := shopRelay(t, "--web.enable-tap")
	page := documentOf(t, "tap.md")
	commands := taps.FindAllString(page, -1)
	for i, want := range []*regexp.Regexp{
		regexp.MustCompile(`(?s)^# destination "central"\norders_total\{cluster="eu-1", instance="127.0.0.1:\d+", job="shop", team="a"\} 42 \d{13}\n# 1 sample shown, ended by limit\n$`),
		regexp.MustCompile(`(?s)^\{"destination":"central","labels":\{.*"cluster":"eu-1".*\n.*\n\{"shown":2,"omitted":0,"endedBy":"limit"\}\n$`),
	} {
		if i >= len(commands) {
			t.Fatalf("the page has %d commands", len(commands))
		}
		line := strings.ReplaceAll(commands[i], "--url=http://localhost:9099", "")
		cmd := exec.Command("sh", "-c", strings.Replace(line, "promrelay tap", `"$0" tap --url="$1"`, 1), built(t), p.url)
		if out, err := cmd.CombinedOutput(); err != nil || !want.Match(out) {
			t.Errorf("%s: %v\n%s\nwant %s", commands[i], err, out, want)
		}
	}
	for _, e := range curl.FindAllStringSubmatch(page, -1) {
		if body := p.get(request(e)); !strings.Contains(body, "# 1 sample shown, ended by limit") {
			t.Errorf("%s: %s", e[1], body)
		}
	}
	for arg, want := range map[string]string{
		"--output=xml": "--output=xml: want text or json", "--limit=0": `invalid parameter "limit"`, "--match={": `invalid parameter "match[]"`,
		"--destination=x": `there is no such destination, the destinations are ["central"]`, "--url=localhost:9099": "want a URL such as", "--url=http://127.0.0.1:1": "no server answers there",
	} {
		args := []string{"tap", "--url=" + p.url, arg}
		if strings.HasPrefix(arg, "--url") {
			args = []string{"tap", arg}
		}
		if out, err := exec.Command(built(t), args...).CombinedOutput(); err == nil || !strings.Contains(string(out), want) || strings.Count(string(out), "\n") != 1 {
			t.Errorf("%s: %v, %s; want %s", arg, err, out, want)
		}
	}
}
