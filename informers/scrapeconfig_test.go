package informers

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"promrelay/targets"
)

// scrapeConfigYAML is a ScrapeConfig shop/<name>.
func scrapeConfigYAML(name, spec string) string {
	return "apiVersion: monitoring.coreos.com/v1alpha1\nkind: ScrapeConfig\nmetadata: {name: " + name + ", namespace: shop}\nspec:\n  " + spec + "\n"
}

func basicSecret(password string) string {
	return "apiVersion: v1\nkind: Secret\nmetadata: {name: sd, namespace: shop}\nstringData: {user: u, password: " + password + "}\n"
}

// bookkeeper serves one target to a client with a known password. The target's name contains that of the client.
func bookkeeper(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `[{"targets": ["%s.%s:1"], "labels": {"__meta_path": "%s"}}]`, strings.Trim(r.URL.Path, "/"), password, r.URL.Path)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// found is a target of a ScrapeConfig.
func found(name, address, more string) string {
	return `scrapeConfig/shop/` + name + ` http://` + address + `/metrics {instance="` + address + `", job="scrapeConfig/shop/` + name + `"` + more + `}`
}

// TestTokenOfTheEnvironment goes to no server of a ScrapeConfig. Offline the environment is not that of the relay, and tells nothing.
func TestTokenOfTheEnvironment(t *testing.T) {
	var asked atomic.Int64
	consul := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer consul.Close()
	t.Setenv("CONSUL_HTTP_TOKEN", "hush")
	w := newWorld(t, "monitors: {}\n", map[string]string{"consul.yaml": scrapeConfigYAML("consul", `consulSDConfigs: [{server: "`+strings.TrimPrefix(consul.URL, "http://")+`"}]`)})
	within(t, "it is rejected", func() bool {
		all := w.d.Monitors()
		return len(all) == 1 && all[0].State == targets.Rejected && strings.Contains(all[0].Reason, "the relay's environment has CONSUL_HTTP_TOKEN, which would be sent to")
	})
	if n := asked.Load(); n > 0 {
		t.Errorf("the server was asked %d times", n)
	}
	if all := settledOffline(t, w).Monitors(); len(all) != 1 || all[0].State != targets.Accepted {
		t.Errorf("offline: %+v", all)
	}
}

func TestScrapeConfigMonitors(t *testing.T) {
	url := bookkeeper(t)
	byHTTP := func(path string) string {
		return scrapeConfigYAML("http", `httpSDConfigs: [{url: "`+url+path+`", basicAuth: {username: {name: sd, key: user}, password: {name: sd, key: password}}}]`)
	}
	w := newWorld(t, "monitors: {}\n", map[string]string{
		"static.yaml": scrapeConfigYAML("static", `staticConfigs: [{targets: ["127.0.0.1:1"], labels: {a: b}}, {targets: ["127.0.0.1:2"]}]`),
		"http.yaml":   byHTTP("/one"),
		"secret.yaml": basicSecret("p1"),
		"pods.yaml":   scrapeConfigYAML("pods", `kubernetesSDConfigs: [{role: Pod, namespaces: {names: [shop]}, selectors: [{role: Pod, label: track=stable}]}]`),
		"pod.yaml":    pod("stable"),
	})
	static := []string{found("static", "127.0.0.1:1", ""), found("static", "127.0.0.1:2", "")}
	static[0] = strings.Replace(static[0], `{instance`, `{a="b", instance`, 1)
	pods := found("pods", "10.1.0.1:8080", "")
	w.becomes(append(static, pods, found("http", "one.p1:1", ""))...)

	// After an edit, other service discovery starts again.
	w.write("http.yaml", byHTTP("/two"))
	w.becomes(append(static, pods, found("http", "two.p1:1", ""))...)
	// Rules alone change nothing of that.
	w.write("http.yaml", byHTTP("/two")+"  relabelings: [{sourceLabels: [__meta_path], targetLabel: path}]\n")
	withPath := func(password string) string { return found("http", "two."+password+":1", `, path="/two"`) }
	w.becomes(append(static, pods, withPath("p1"))...)
	// A Secret that changed is used.
	w.write("secret.yaml", basicSecret("p2"))
	w.hurry(targets.Owner{Kind: targets.ScrapeConfig, Namespace: "shop", Name: "http"})
	w.becomes(append(static, pods, withPath("p2"))...)

	w.write("pod.yaml", pod("canary"))
	w.becomes(append(static, withPath("p2"))...)
	w.remove("static.yaml")
	w.becomes(withPath("p2"))
	w.remove("http.yaml")
	w.becomes()
	// And back.
	w.write("pod.yaml", pod("stable"))
	w.write("http.yaml", byHTTP("/two"))
	w.becomes(pods, found("http", "two.p2:1", ""))
}

// TestScrapeConfigChangesItsWays lets one monitor find targets by one means after the other.
func TestScrapeConfigChangesItsWays(t *testing.T) {
	url := bookkeeper(t)
	byHTTP := `httpSDConfigs: [{url: "` + url + `/x"}]`
	w := newWorld(t, "monitors: {}\n", map[string]string{
		"a.yaml": scrapeConfigYAML("a", byHTTP),
		"b.yaml": scrapeConfigYAML("b", byHTTP), // the same, which the discovery manager asks for once
	})
	b := found("b", "x.:1", "")
	w.becomes(found("a", "x.:1", ""), b)
	w.write("a.yaml", scrapeConfigYAML("a", `staticConfigs: [{targets: ["127.0.0.1:1"]}]`))
	w.becomes(found("a", "127.0.0.1:1", ""), b)
	w.write("a.yaml", scrapeConfigYAML("a", byHTTP+"\n  staticConfigs: [{targets: [\"127.0.0.1:1\"]}]"))
	w.becomes(found("a", "127.0.0.1:1", ""), found("a", "x.:1", ""), b)
	w.write("a.yaml", scrapeConfigYAML("a", `httpSDConfigs: [{url: "ftp://x"}]`))
	w.state(targets.Owner{Kind: targets.ScrapeConfig, Namespace: "shop", Name: "a"}, targets.Rejected, "httpSDConfigs[0]: URL scheme must be 'http' or 'https'")
	w.becomes(b)
	w.write("a.yaml", scrapeConfigYAML("a", byHTTP))
	w.becomes(found("a", "x.:1", ""), b)
	w.remove("b.yaml")
	w.becomes(found("a", "x.:1", ""))
}

// TestOAuth2ThroughAProxy compiles a monitor again after its client has been at work: it is the same as before.
func TestOAuth2ThroughAProxy(t *testing.T) {
	asked := make(chan struct{}, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/token" {
			_, _ = w.Write([]byte(`{"access_token": "t", "token_type": "Bearer", "expires_in": 3600}`))
			return
		}
		select {
		case asked <- struct{}{}:
		default:
		}
		_, _ = w.Write([]byte(`[{"targets": ["a:1"]}]`))
	}))
	t.Cleanup(s.Close)
	text := func(limit int) string {
		return scrapeConfigYAML("a", fmt.Sprintf(`sampleLimit: %d
  httpSDConfigs:
  - url: "%s/sd"
    oauth2: {clientId: {secret: {name: sd, key: user}}, clientSecret: {name: sd, key: password}, tokenUrl: "%s/token", proxyUrl: "%s"}`, limit, s.URL, s.URL, s.URL))
	}
	w := newWorld(t, "monitors: {}\n", map[string]string{"a.yaml": text(1), "secret.yaml": basicSecret("p")})
	w.becomes(found("a", "a:1", ""))
	w.write("a.yaml", text(2))
	within(t, "the limit changes", func() bool { return w.limit("scrapeConfig/shop/a") == 2 })
	w.becomes(found("a", "a:1", ""))
	if n := len(asked); n != 1 {
		t.Errorf("the service discovery began %d times, want 1", n)
	}
}

// limit is the sample limit of a job's targets, 0 if it has none.
func (w *world) limit(job string) uint {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.live[job] {
		return t.Job.Config.SampleLimit
	}
	return 0
}

// TestDiscoveryThatCannotStart says why there are no targets; package sd tests that it is started again.
func TestDiscoveryThatCannotStart(t *testing.T) {
	url := bookkeeper(t)
	ca := filepath.Join(t.TempDir(), "ca.crt")
	w := newWorld(t, `scrape_configs:
- job_name: lost
  http_sd_configs:
  - {url: "`+url+`/x", tls_config: {ca_file: `+ca+`}}
  - {url: "`+url+`/y"}
`, nil)
	lost := targets.Owner{Kind: targets.ScrapeConfigBlock, Name: "lost"}
	y := `lost http://y.:1/metrics {instance="y.:1", job="lost"}`
	w.becomes(y)
	problems := func() []string { return w.problems(lost, "lost") }
	if got := problems(); len(got) != 1 || !strings.HasPrefix(got[0], "http_sd_configs cannot be started: ") || !strings.Contains(got[0], ca) {
		t.Errorf("problems %q, want one with %s", got, ca)
	}
}

// problems are those of a job.
func (w *world) problems(owner targets.Owner, job string) []string {
	for _, m := range w.d.Monitors() {
		for _, j := range m.Jobs {
			if m.Owner == owner && j.Job.Name == job {
				return j.Problems
			}
		}
	}
	return nil
}

// complains waits until a ScrapeConfig's problem has a text in it, until it has none if that is empty.
func (w *world) complains(name, want string) {
	w.t.Helper()
	owner := targets.Owner{Kind: targets.ScrapeConfig, Namespace: "shop", Name: name}
	var got []string
	if !polls(func() bool {
		got = w.problems(owner, "scrapeConfig/shop/"+name)
		return want == "" && len(got) == 0 || want != "" && len(got) == 1 && strings.Contains(got[0], want)
	}) {
		w.t.Fatalf("problems %q, want %q", got, want)
	}
}

// TestOneURLTwice asks one server with two passwords, whose answers have the same name in Prometheus.
func TestOneURLTwice(t *testing.T) {
	url := bookkeeper(t)
	sd := func(key string) string {
		return `{url: "` + url + `/one", basicAuth: {username: {name: sd, key: user}, password: {name: sd, key: ` + key + `}}}`
	}
	w := newWorld(t, "monitors: {}\n", map[string]string{
		"http.yaml":   scrapeConfigYAML("http", `httpSDConfigs: [`+sd("password")+`, `+sd("user")+`]`),
		"secret.yaml": basicSecret("p"),
	})
	w.becomes(found("http", "one.p:1", ""), found("http", "one.u:1", ""))
	w.write("http.yaml", scrapeConfigYAML("http", `httpSDConfigs: [`+sd("user")+`]`))
	w.becomes(found("http", "one.u:1", ""))
}

// TestCredentialsChange while the server is unreachable: targets stay, and a problem says why there is nothing new.
func TestCredentialsChange(t *testing.T) {
	var known atomic.Pointer[string]
	knows := func(password string) { known.Store(&password) }
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != *known.Load() {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `[{"targets": ["%s:1"]}]`, *known.Load())
	}))
	t.Cleanup(s.Close)
	knows("p1")
	w := newWorld(t, "monitors: {}\n", map[string]string{
		"http.yaml":   scrapeConfigYAML("http", `httpSDConfigs: [{url: "`+s.URL+`/", refreshInterval: 1s, basicAuth: {username: {name: sd, key: user}, password: {name: sd, key: password}}}]`),
		"secret.yaml": basicSecret("p1"),
	})
	w.becomes(found("http", "p1:1", ""))
	w.complains("http", "")
	w.write("secret.yaml", basicSecret("p2"))
	w.hurry(targets.Owner{Kind: targets.ScrapeConfig, Namespace: "shop", Name: "http"})
	w.complains("http", "http_sd_configs fails: Unable to refresh target groups: server returned HTTP status 401 Unauthorized")
	w.becomes(found("http", "p1:1", ""))
	knows("p2")
	w.becomes(found("http", "p2:1", ""))
	w.complains("http", "")
	s.Close()
	w.complains("http", "connection refused")
	w.becomes(found("http", "p2:1", ""))
}

// TestNoRefreshInterval rejects one monitor; it would end the process.
func TestNoRefreshInterval(t *testing.T) {
	url := bookkeeper(t)
	w := newWorld(t, "monitors: {}\n", map[string]string{
		"a.yaml": scrapeConfigYAML("a", `httpSDConfigs: [{url: "`+url+`/a"}, {url: "`+url+`/a", refreshInterval: 0s}]`),
		"b.yaml": scrapeConfigYAML("b", `httpSDConfigs: [{url: "`+url+`/b"}]`),
	})
	w.state(targets.Owner{Kind: targets.ScrapeConfig, Namespace: "shop", Name: "a"}, targets.Rejected, "httpSDConfigs[1]: refreshInterval: 0s: want more than 0")
	w.becomes(found("b", "b.:1", ""))
}
