package config

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/model/relabel"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func files(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %v, %v", pattern, paths, err)
	}
	return paths
}

func TestGood(t *testing.T) {
	for _, path := range files(t, "*.good.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			if _, err := LoadFile(path); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestBad expects, in one line that begins with the file's name, what the file's first line says.
func TestBad(t *testing.T) {
	for _, path := range files(t, "*.bad.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(string(text), "\n")
			want := strings.TrimPrefix(first, "# error: ")
			_, err = LoadFile(path)
			if err == nil || !strings.HasPrefix(err.Error(), path+": ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got  %v\nwant %s: ...%s", err, path, want)
			}
		})
	}
}

// TestBadScrapeConfigFile expects what another file says to be looked at, too.
func TestBadScrapeConfigFile(t *testing.T) {
	dir := t.TempDir()
	text := "scrape_configs:\n- job_name: a\n  dns_sd_configs: [{names: [n.example], refresh_interval: 0s}]\n"
	if err := os.WriteFile(filepath.Join(dir, "more.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load([]byte("scrape_config_files: [more.yaml]\n"), dir)
	want := `line 1: scrape_config_files: job_name "a": dns_sd_configs[0]: refresh_interval: 0s: want more than 0`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// TestRefreshIntervals sets that of every service discovery there is.
func TestRefreshIntervals(t *testing.T) {
	without := []string{"aws", "kubernetes", "nerve", "serverset"}
	lists, err := discovery.Configs{}.MarshalYAML() // a struct with a list of each
	if err != nil {
		t.Fatal(err)
	}
	all := reflect.TypeOf(lists).Elem()
	if all.NumField() < 25 {
		t.Fatalf("there are only %d", all.NumField())
	}
	for i := range all.NumField() {
		typ := all.Field(i).Type.Elem()
		sd, ok := reflect.New(typ.Elem()).Interface().(discovery.Config)
		if !ok {
			continue // static_configs
		}
		name := sd.Name()
		f := reflect.ValueOf(sd).Elem().FieldByName("RefreshInterval")
		if slices.Contains(without, name) {
			if why := BadRefreshInterval(sd); why != "" {
				t.Errorf("%s: %s", name, why)
			}
			continue
		}
		if !f.IsValid() {
			t.Errorf("%s has no refresh interval", name)
			continue
		}
		for d, good := range map[time.Duration]bool{-1: false, 0: false, time.Second: true, 97 * 365 * 24 * time.Hour: true} {
			f.SetInt(int64(d))
			if why := BadRefreshInterval(sd); (why == "") != good {
				t.Errorf("%s with %s: %q", name, d, why)
			}
		}
		for _, d := range []time.Duration{333 * time.Millisecond, 98 * 365 * 24 * time.Hour} { // azure makes seconds of three of them
			f.SetInt(int64(d))
			if why := BadRefreshInterval(sd); (why == "") != (name != "azure") {
				t.Errorf("%s with %s: %q", name, d, why)
			}
		}
	}
}

func load(t *testing.T, name string) *Config {
	t.Helper()
	c, err := LoadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAgentFile(t *testing.T) {
	c := load(t, "agent.good.yaml")
	if c.Kubernetes != nil || c.Monitors != nil || c.Nodes != nil {
		t.Error("a Prometheus configuration asks for no cluster")
	}
	one, two := c.Destinations[0], c.Destinations[1]
	if !one.Negotiate || one.Exemplars != nil || one.ID() != "one" {
		t.Errorf("the first destination: %+v", one)
	}
	if two.Negotiate || two.Exemplars == nil || !*two.Exemplars || two.ID() != "http://central-2/api/v1/write" {
		t.Errorf("the second destination: %+v, ID %s", two, two.ID())
	}
	want := []string{
		"line 4: global.evaluation_interval has no effect: no rules are evaluated",
		"line 22: remote_write[].queue_config.capacity has no effect: what waits to be sent stays in the WAL, not in memory",
	}
	if d := cmp.Diff(want, c.Warnings); d != "" {
		t.Error(d)
	}
	if got := c.ScrapeConfigs[1].ServiceDiscoveryConfigs; len(got) != 1 {
		t.Errorf("file_sd_configs: %v", got)
	}
	if c.ScrapeConfigs[0].ScrapeInterval != model.Duration(15*time.Second) {
		t.Error("the job did not get the global interval")
	}
}

func TestFullFile(t *testing.T) {
	c := load(t, "full.good.yaml")
	if c.Kubernetes.Kubeconfig != "testdata/kube.conf" || c.WAL.Dir != "testdata/data" {
		t.Errorf("paths: %s, %s", c.Kubernetes.Kubeconfig, c.WAL.Dir)
	}
	if c.WAL.MaxBytes != 4<<30 || c.WAL.MinFreeBytes != 1<<20 || c.WAL.SyncInterval != 2*time.Second {
		t.Errorf("wal: %+v", c.WAL)
	}
	m := c.Monitors
	if m.PodMonitorSelector != nil || m.ServiceMonitorSelector == nil || m.ScrapeInterval != "20s" || m.ScrapeClasses[0].TLSConfig.CAFile != "/ca.crt" {
		t.Errorf("monitors: %+v", m)
	}
	if got := c.Prometheus.GlobalConfig.ExternalLabels.Get("cluster"); got != "prod-1" {
		t.Errorf("external label cluster is %q", got)
	}
	n := c.Nodes
	if !n.Kubelet.Enabled || !n.Resource.Enabled || n.Cadvisor.HonorTimestamps || n.KubeProxy.Port != 10249 || n.Cadvisor.ScrapeInterval != model.Duration(10*time.Second) {
		t.Errorf("nodes: %+v", n)
	}
	if !n.HonorLabels || *n.Resource.HonorLabels || len(n.RelabelConfigs) != 1 || len(n.MetricRelabelConfigs) != 1 {
		t.Errorf("nodes: %+v", n)
	}
	if h := n.HTTPClientConfig; !h.TLSConfig.InsecureSkipVerify || h.TLSConfig.CAFile != "" || h.Authorization.CredentialsFile != serviceAccount+"token" {
		t.Errorf("nodes: %+v", h)
	}
	if c.Relay.DrainFactor != 5 || c.Relay.SplitRefused || !c.Relay.KeepUnauthorized {
		t.Errorf("relay: %+v", c.Relay)
	}
	want := []string{"line 6: monitors: serviceMonitorSelector and serviceMonitorNamespaceSelector are given", "line 15: monitors.replicas has no effect: it does not say how monitors are translated"}
	if !slices.EqualFunc(c.Warnings, want, strings.HasPrefix) {
		t.Errorf("warnings: %v", c.Warnings)
	}
}

// TestBytes accepts sizes as Prometheus and Kubernetes write them, if both mean the same.
func TestBytes(t *testing.T) {
	for text, want := range map[string]Bytes{"8GB": 8 << 30, "8GiB": 8 << 30, "8Gi": 8 << 30, "512Mi": 512 << 20, "1Ti": 1 << 40, "65536Ki": 64 << 20, "67108864": 64 << 20} {
		c, err := Load([]byte("wal: {max_bytes: "+text+"}\n"), "")
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if c.WAL.MaxBytes != want {
			t.Errorf("%s is %d, want %d", text, c.WAL.MaxBytes, want)
		}
	}
	for _, text := range []string{"8G", "8g", "i", "8i", "8Bi", "many"} {
		if c, err := Load([]byte("wal: {max_bytes: "+text+"}\n"), ""); err == nil {
			t.Errorf("%s is taken as %d", text, c.WAL.MaxBytes)
		}
	}
}

func TestLastGoodDirectory(t *testing.T) {
	c := load(t, "last-good.good.yaml")
	if c.Monitors.LastGoodDirectory != "kept" || c.Monitors.ServiceMonitorSelector == nil {
		t.Errorf("%q", c.Monitors.LastGoodDirectory)
	}
	if c := load(t, "monitors-only.good.yaml"); c.Monitors.LastGoodDirectory != "" {
		t.Errorf("%q without being asked for", c.Monitors.LastGoodDirectory)
	}
}

func TestMonitorsAlone(t *testing.T) {
	c := load(t, "monitors-only.good.yaml")
	if c.Kubernetes == nil || c.Monitors.ProbeNamespaceSelector == nil || c.Monitors.ScrapeInterval != "45s" {
		t.Errorf("%+v, %+v", c.Kubernetes, c.Monitors)
	}
}

func TestNullRegexInScrapeConfigFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "more.yml")
	text := "scrape_configs:\n- job_name: a\n  relabel_configs: [{source_labels: [x], regex: '~', action: drop}]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load([]byte("scrape_config_files: ['*.yml']\n"), dir)
	if err == nil || !strings.HasPrefix(err.Error(), file+`: line 3: scrape_configs: job_name "a": relabel_configs[0].regex: "~" would become`) {
		t.Errorf("error is %v", err)
	}
	if got := relabel.DefaultRelabelConfig.Regex.String(); got != "(.*)" {
		t.Errorf("rules without a regex now have %q", got)
	}
}

func TestExternalLabelsOfMonitors(t *testing.T) {
	t.Setenv("REGION", "eu")
	c, err := Load([]byte("global: {external_labels: {cluster: c1}}\nmonitors:\n  externalLabels: {region: '${REGION}', price: 5$$, cluster: c1}\n"), "")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Prometheus.GlobalConfig.ExternalLabels.String(), `{cluster="c1", price="5$", region="eu"}`; got != want {
		t.Errorf("external labels %s, want %s", got, want)
	}
}

// TestSecretsOfURLs: no message shows more of a URL than its host and path.
func TestSecretsOfURLs(t *testing.T) {
	for text, want := range map[string]string{
		"http://u:secret@h/api/v1/write?p=secret#secret": "http://h/api/v1/write",
		"http://h/write?":      "http://h/write",
		"https://h:8/a%2Fb?p=": "https://h:8/a%2Fb",
	} {
		c, err := Load([]byte("remote_write:\n- url: "+text+"\n- {name: n, url: '"+text+"'}\n"), ".")
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Destinations[0].Shown(); got != want {
			t.Errorf("%s is shown as %s, want %s", text, got, want)
		}
		if got := c.Destinations[1].Shown(); got != "n" {
			t.Errorf("the name is shown as %s", got)
		}
	}
	for text, want := range map[string]string{
		"http://h:8o/write?p=secret": `parse URL "http://h:8o/write": invalid port ... after host`,
		"http://u:se/cret@h/write":   `parse URL "...": invalid port ... after host`,
		"http://u:se?cret@h/write":   `parse URL "...": invalid port ... after host`,
	} {
		_, err := Load([]byte("remote_write:\n- url: "+text+"\n"), ".")
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "cret") {
			t.Errorf("%s gives %v, want %s", text, err, want)
		}
	}
}

// TestFilesAreDenied to monitors, unless the configuration says otherwise.
func TestFilesAreDenied(t *testing.T) {
	for text, want := range map[string]bool{
		"monitors: {}": true, "kubernetes: {}": true, "monitors: {arbitraryFSAccessThroughSMs: {}}": true, "monitors: {arbitraryFSAccessThroughSMs: {deny: true}}": true,
		"monitors: {arbitraryFSAccessThroughSMs: {deny: false}}": false, "monitors: {scrapeInterval: 1m}": true,
	} {
		c, err := Load([]byte(text), "")
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := c.Monitors.ArbitraryFSAccessThroughSMs.Deny; got != want {
			t.Errorf("%s: deny is %t, want %t", text, got, want)
		}
	}
}
