package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program is a relay that runs.
type program struct {
	t   *testing.T
	cmd *exec.Cmd
	url string
	end chan struct{}

	mu  sync.Mutex
	log strings.Builder
}

// start runs the relay with a configuration file, until the test ends. It listens at a port of its own choice.
func start(t *testing.T, path string, args ...string) *program {
	t.Helper()
	address := freeAddress(t)
	args = append([]string{"run", "--config.file=" + path, "--wal.dir=" + t.TempDir(), "--web.listen-address=" + address, "--web.enable-lifecycle"}, args...)
	p := &program{t: t, cmd: exec.Command(built(t), args...), url: "http://" + address, end: make(chan struct{})}
	errs, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.end)
		for lines := bufio.NewScanner(errs); lines.Scan(); {
			p.mu.Lock()
			p.log.WriteString(lines.Text() + "\n")
			p.mu.Unlock()
		}
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.end
		if t.Failed() {
			t.Log(p.text())
		}
	})
	p.await("start", func() bool { return strings.Contains(p.text(), "msg=started") })
	return p
}

// freeAddress is one at which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	return s.Listener.Addr().String()
}

func (p *program) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// await waits for something that must come to be.
func (p *program) await(what string, is func() bool) {
	p.t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func (p *program) get(path string) string {
	p.t.Helper()
	resp, err := http.Get(p.url + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// stop ends the relay and returns how long that took.
func (p *program) stop() time.Duration {
	p.t.Helper()
	begin := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.end:
	case <-time.After(time.Minute):
		p.t.Fatal("it does not stop")
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		p.t.Errorf("exit code %d", code)
	}
	return time.Since(begin)
}

func job(name string) string {
	return "scrape_configs: [{job_name: " + name + ", static_configs: [{targets: ['127.0.0.1:1']}]}]\n"
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// mount makes a directory as the kubelet does for a ConfigMap: promrelay.yml leads by way of ..data into a directory of a version.
func mount(t *testing.T, dir, version, text string) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(dir, version), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, version, "promrelay.yml"), text)
	if err := os.Symlink(version, filepath.Join(dir, "..data_tmp")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
}

// TestWatch changes the configuration in the ways in which people and Kubernetes do; the relay adopts each change by itself.
func TestWatch(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(t *testing.T, dir, text string){
		"in place": func(t *testing.T, dir, text string) { write(t, filepath.Join(dir, "promrelay.yml"), text) },
		"by another file": func(t *testing.T, dir, text string) {
			write(t, filepath.Join(dir, "new"), text)
			if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "promrelay.yml")); err != nil {
				t.Fatal(err)
			}
		},
		"by the link of a mount": func(t *testing.T, dir, text string) { mount(t, dir, fmt.Sprintf("..v%d", time.Now().UnixNano()), text) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "promrelay.yml")
			if strings.Contains(name, "mount") {
				if err := os.Symlink("..data/promrelay.yml", path); err != nil {
					t.Fatal(err)
				}
			}
			change(t, dir, job("first"))
			p := start(t, path)
			has := func(job string) func() bool {
				return func() bool { return strings.Contains(p.get("/api/v1/targets"), `"scrapePool":"`+job+`"`) }
			}
			p.await("the first job", has("first"))
			change(t, dir, job("second"))
			p.await("the second job", has("second"))
			bad := job("third") + "remote_write:\n- url: http://u:SEKRET@a:x/\n"
			change(t, dir, bad)
			p.await("the refusal", func() bool { return strings.Contains(p.get("/metrics"), "promrelay_config_last_reload_successful 0") })
			if !has("second")() {
				t.Error("a bad file cost the good one's job")
			}
			resp, err := http.Post(p.url+"/-/reload", "", nil)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode != http.StatusInternalServerError || !strings.Contains(string(answer), "line 3") {
				t.Errorf("answer of /-/reload: %d %s, %v", resp.StatusCode, answer, err)
			}
			change(t, dir, job("third"))
			p.await("the third job", has("third"))
			p.stop()
			if text := p.text() + string(answer); strings.Contains(text, "SEKRET") || strings.Count(text, "configuration loaded") != 2 {
				t.Errorf("a secret, or other than two reloads: %s", text)
			}
		})
	}
}

// TestFileIsGone: a missing file is logged once, and so is its return; the swap of a mount's link is not logged.
func TestFileIsGone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "promrelay.yml")
	if err := os.Symlink("..data/promrelay.yml", path); err != nil {
		t.Fatal(err)
	}
	mount(t, dir, "..1", job("first"))
	p := start(t, path)
	for i := range 5 {
		mount(t, dir, fmt.Sprintf("..swap%d", i), job(fmt.Sprintf("swapped%d", i)))
		time.Sleep(settleFor / 3)
	}
	p.await("the last one that was mounted", func() bool { return strings.Contains(p.get("/api/v1/targets"), `"scrapePool":"swapped4"`) })
	if strings.Contains(p.text(), "is gone") {
		t.Errorf("a swap is told of: %s", p.text())
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	p.await("that it is gone", func() bool {
		return strings.Contains(p.text(), "the configuration file is gone; the one in force stays")
	})
	write(t, filepath.Join(dir, "other"), "x") // so that the relay looks at the directory again
	time.Sleep(3 * settleFor)
	if err := os.Symlink("..data/promrelay.yml", path); err != nil {
		t.Fatal(err)
	}
	p.await("that it is back", func() bool { return strings.Contains(p.text(), "the configuration file is back") })
	if text := p.text(); strings.Count(text, "is gone") != 1 || !strings.Contains(text, "level=warn") || !strings.Contains(text, "config="+path) {
		t.Errorf("the log is %s", text)
	}
}

// TestWatchesScrapeConfigFiles: they are part of the configuration, also those that a reload has brought.
func TestWatchesScrapeConfigFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, more := filepath.Join(dir, "promrelay.yml"), filepath.Join(dir, "more.yml")
	write(t, path, job("first"))
	write(t, more, job("second"))
	p := start(t, path)
	has := func(job string) func() bool {
		return func() bool { return strings.Contains(p.get("/api/v1/targets"), `"scrapePool":"`+job+`"`) }
	}
	write(t, path, "scrape_config_files: [more.yml]\n")
	p.await("the second job", has("second"))
	write(t, more, job("third"))
	p.await("the third job", has("third"))
	time.Sleep(2 * settleFor)
	if n := strings.Count(p.text(), "configuration loaded"); n != 2 {
		t.Errorf("%d reloads, want 2", n)
	}
}

// TestNoWatch: a flag leaves reloads to people.
func TestNoWatch(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "promrelay.yml")
	write(t, path, job("first"))
	p := start(t, path, "--no-config.watch")
	write(t, path, job("second"))
	time.Sleep(4 * settleFor)
	if strings.Contains(p.text(), "configuration loaded") {
		t.Error("it was loaded without being asked to")
	}
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	p.await("the reload by SIGHUP", func() bool { return strings.Contains(p.text(), "configuration loaded") })
}

// TestStopDoesNotWait: a receiver that hangs or is unreachable delays a stop by no more than relay.drain_timeout, two seconds by
// default.
func TestStopDoesNotWait(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(hangs.Close)
	t.Cleanup(func() { close(release) })
	takes := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", "1")
	}))
	t.Cleanup(takes.Close)
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "a 1\n") }))
	t.Cleanup(page.Close)
	for name, c := range map[string]struct {
		url, relay  string
		least, most time.Duration
	}{
		"takes":            {takes.URL, "{}", 0, time.Second},
		"hangs":            {hangs.URL, "{}", time.Second, 4 * time.Second},
		"away":             {"http://127.0.0.1:1", "{}", time.Second, 4 * time.Second},
		"hangs, 5 seconds": {hangs.URL, "{drain_timeout: 5s}", 4 * time.Second, 8 * time.Second},
		"hangs, not asked": {hangs.URL, "{drain_timeout: 0s}", 0, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "promrelay.yml")
			write(t, path, "scrape_configs:\n- {job_name: a, scrape_interval: 100ms, scrape_timeout: 100ms, static_configs: [{targets: ['"+strings.TrimPrefix(page.URL, "http://")+"']}]}\n"+
				"remote_write: [{url: '"+c.url+"'}]\nrelay: "+c.relay+"\n")
			p := start(t, path)
			p.await("a page", func() bool {
				return strings.Contains(p.get("/metrics"), `promrelay_scrape_scrapes_total{health="up"}`) && !strings.Contains(p.get("/metrics"), `promrelay_scrape_scrapes_total{health="up"} 0`)
			})
			took := p.stop()
			t.Logf("%s: the stop took %s", name, took)
			if took < c.least || took > c.most {
				t.Errorf("the stop took %s, want %s to %s", took, c.least, c.most)
			}
		})
	}
}

// TestStopDoesNotWaitForPages: a connection without a request, as browsers keep some ready, holds up no stop.
func TestStopDoesNotWaitForPages(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "promrelay.yml")
	write(t, path, job("first"))
	p := start(t, path)
	for _, begun := range []string{"", "GET /-/re"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := io.WriteString(conn, begun); err != nil {
			t.Fatal(err)
		}
	}
	p.get("/-/ready") // by then the others are accepted
	if took := p.stop(); took > 1500*time.Millisecond {
		t.Errorf("the stop took %s", took)
	}
}

// TestMemoryLimitOfEnvironment: what the environment says goes before the cgroup.
func TestMemoryLimitOfEnvironment(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "512MiB")
	path := filepath.Join(t.TempDir(), "promrelay.yml")
	write(t, path, job("first"))
	p := start(t, path)
	if !strings.Contains(p.get("/metrics"), "go_gc_gomemlimit_bytes 5.36870912e+08") {
		t.Error("GOMEMLIMIT is not 512 MiB")
	}
}
