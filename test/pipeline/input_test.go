package pipeline

import (
	"bytes"
	"context"
	"errors"
	"html"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"promrelay/test/peers"
)

// TestWrongInput starts the relay with what it cannot work with. Of each it tells in one line.
func TestWrongInput(t *testing.T) {
	t.Parallel()
	const good = "global: {scrape_interval: 1s}\n"
	dir := t.TempDir()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	writeFile(t, filepath.Join(dir, "file"), "x")
	writeFile(t, filepath.Join(dir, "web.yml"), "tls_server_config: {cert_file: absent.crt, key_file: absent.key}\n")
	writeFile(t, filepath.Join(dir, "webkey.yml"), "basic_auth_user: {}\n")
	running := startRelay(t, good)

	for name, c := range map[string]struct {
		config string
		args   []string
		want   []string // words of the line
	}{
		"no file":       {args: []string{"--config.file=" + filepath.Join(dir, "absent.yml")}, want: []string{"absent.yml", "no such file"}},
		"a directory":   {args: []string{"--config.file=" + dir}, want: []string{dir, "is a directory"}},
		"unknown key":   {config: good + "scrape_configs:\n- job_name: a\n  scrape_intervall: 5s\n", want: []string{"CONFIG", "line 4", "scrape_intervall"}},
		"unknown block": {config: good + "\nscrape_config: []\n", want: []string{"CONFIG", "line 3", "scrape_config"}},
		"own block":     {config: good + "wal:\n  max_byte: 1GB\n", want: []string{"CONFIG", "line 3", "max_byte"}},
		"bad YAML":      {config: good + "scrape_configs: [\n", want: []string{"CONFIG", "line"}},
		"bad regex":     {config: good + "scrape_configs:\n- job_name: a\n  relabel_configs:\n  - {source_labels: [x], regex: 'a(b', action: keep}\n", want: []string{"CONFIG", "line 5", "missing closing )", "a(b"}},
		"alerting":      {config: good + "rule_files: [x.yml]\n", want: []string{"CONFIG", "line 2", "rule_files"}},
		"CA file":       {config: good + "remote_write:\n- {url: 'https://127.0.0.1:1/', tls_config: {ca_file: absent-ca.crt}}\n", want: []string{"CONFIG", "absent-ca.crt", "no such file", "127.0.0.1:1"}},
		"twice":         {config: good + "remote_write:\n- {url: 'http://127.0.0.1:1/'}\n- {url: 'http://127.0.0.1:1/'}\n", want: []string{"CONFIG", "http://127.0.0.1:1/", "name"}},
		"no manifests":  {config: good + "manifests: {directory: absent}\n", want: []string{"CONFIG", "line 2", "manifests.directory", "absent"}},
		"unknown flag":  {config: good, args: []string{"--wal.directory=x"}, want: []string{"--wal.directory", `did you mean "--wal.dir"?`}},
		"log level":     {config: good, args: []string{"--log.level=loud"}, want: []string{"--log.level", "loud"}},
		"log format":    {config: good, args: []string{"--log.format=xml"}, want: []string{"--log.format", "xml"}},
		"WAL in a file": {config: good, args: []string{"--wal.dir=" + filepath.Join(dir, "file", "wal")}, want: []string{filepath.Join(dir, "file"), "not a directory"}},
		"WAL not writable": {config: good, args: []string{"--wal.dir=/proc/promrelay-wal"}, want: []string{
			"/proc/promrelay-wal",
		}},
		"WAL in use":     {config: good, args: []string{"--wal.dir=" + running.WAL}, want: []string{running.WAL, "in use"}},
		"port in use":    {config: good, args: []string{"--web.listen-address=" + taken.Addr().String()}, want: []string{"--web.listen-address=" + taken.Addr().String(), "address already in use"}},
		"web file":       {config: good, args: []string{"--web.config.file=" + filepath.Join(dir, "none.yml")}, want: []string{"--web.config.file", "none.yml", "no such file"}},
		"web file's key": {config: good, args: []string{"--web.config.file=" + filepath.Join(dir, "webkey.yml")}, want: []string{"--web.config.file", "webkey.yml: yaml: unmarshal errors: line 1: ", "basic_auth_user"}},
		"web file's TLS": {config: good, args: []string{"--web.config.file=" + filepath.Join(dir, "web.yml")}, want: []string{"--web.config.file", "web.yml", "absent.crt"}},
	} {
		t.Run(name, func(t *testing.T) {
			own := t.TempDir()
			config := filepath.Join(own, "promrelay.yml")
			if c.config != "" {
				writeFile(t, config, c.config)
			}
			// kingpin wants a flag only once: those of the case stand in the place of these.
			args := []string{"run"}
			for _, a := range []string{"--config.file=" + config, "--wal.dir=" + filepath.Join(own, "wal"), "--web.listen-address=127.0.0.1:0"} {
				flag, _, _ := strings.Cut(a, "=")
				if len(c.args) == 0 || !strings.HasPrefix(c.args[0], flag+"=") {
					args = append(args, a)
				}
			}
			line := fails(t, append(args, c.args...)...)
			for _, w := range c.want {
				if w == "CONFIG" {
					w = config
				}
				if !strings.Contains(line, w) {
					t.Errorf("have %q, which does not tell of %q", line, w)
				}
			}
		})
	}
	stop(t, running)
}

// fails runs the relay, which must exit with code 1 and one error, in its last line. It returns that line. Lines before it report that the
// pages were served meanwhile.
func fails(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, relayBinary, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("have %v, want exit code 1\n%s", err, stderr.String())
	}
	if stdout.Len() > 0 {
		t.Errorf("on standard output: %s", stdout.String())
	}
	lines := strings.Split(strings.TrimSuffix(stderr.String(), "\n"), "\n")
	last := lines[len(lines)-1]
	if strings.Contains(stderr.String(), "level=error") || !strings.HasPrefix(last, "promrelay: ") {
		t.Errorf("want a last line that begins with promrelay, and no other error:\n%s", stderr.String())
	}
	t.Log(last)
	return last
}

// TestBadMonitors has a monitor with a bad regex and one whose Secret is missing beside a good one: /targets tells of
// them, and the good one is scraped.
func TestBadMonitors(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	e := newExporter(t, plain("good", 10))
	dir := t.TempDir()
	file := filepath.Join(dir, "manifests", "all.yaml")
	bad := monitor("bad-regex", "checkout", "relabelings: [{action: keep, sourceLabels: [__meta_kubernetes_pod_name], regex: '('}]") +
		monitor("missing-secret", "checkout", "basicAuth: {username: {name: absent, key: user}, password: {name: absent, key: password}}")
	writeFile(t, file, service("checkout", e)+monitor("good", "checkout")+bad)
	relay := startRelayIn(t, dir, "monitors: {scrapeInterval: 1s}\nmanifests: {directory: manifests}\nremote_write: [{url: '"+r.URL()+"'}]\n")
	e.awaitPages(t, 3)
	rejected(t, relay, "bad-regex", "missing closing )")
	rejected(t, relay, "missing-secret", "secret", "shop/absent")
	targets, err := relay.Targets(t.Context())
	if err != nil || len(targets.Active) != 1 || targets.Active[0].Health != "up" || targets.Active[0].ScrapePool != "serviceMonitor/shop/good/0" {
		t.Errorf("have %+v, %v", targets.Active, err)
	}
	// The Secret comes, and the regex is mended.
	writeFile(t, file, service("checkout", e)+monitor("good", "checkout")+strings.ReplaceAll(bad, "'('", "'.*'")+
		"\napiVersion: v1\nkind: Secret\nmetadata: {name: absent, namespace: shop}\nstringData: {user: u, password: p}\n")
	await(t, 15*time.Second, "three targets", func() error {
		targets, err := relay.Targets(t.Context())
		if err == nil && len(targets.Active) != 3 {
			err = errors.New("not yet")
		}
		return err
	})
	end := time.Now()
	e.awaitPages(t, len(e.asked())+4)
	stop(t, relay)
	r.sound(t)
	if n := r.pages(); len(n) < len(e.whole(end))-1 {
		t.Errorf("%d pages came of %d", len(n), len(e.whole(end)))
	}
}

// rejected looks at /targets for what is said of a monitor.
func rejected(t *testing.T, relay *peers.Relay, name string, words ...string) {
	t.Helper()
	resp, err := http.Get(relay.URL() + "/targets")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var page bytes.Buffer
	if _, err := page.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	for group := range strings.SplitSeq(page.String(), "<details class=\"group") {
		if !strings.Contains(group, "shop/"+name+"<") {
			continue
		}
		_, reason, _ := strings.Cut(group, `<div class="reason`)
		reason, _, _ = strings.Cut(html.UnescapeString(reason), "</div>")
		if state, _, _ := strings.Cut(group, ">"); !strings.Contains(state, "rejected") && !strings.Contains(state, "pending") {
			t.Errorf("%s: state is%s", name, state)
		}
		t.Logf("%s: %s", name, strings.TrimLeft(reason, `">`))
		for _, w := range words {
			if !strings.Contains(strings.ToLower(reason), strings.ToLower(w)) {
				t.Errorf("%s: %q does not tell of %q", name, reason, w)
			}
		}
		return
	}
	_ = os.WriteFile(filepath.Join(t.ArtifactDir(), "targets.html"), page.Bytes(), 0o644)
	t.Errorf("%s is not on /targets", name)
}
