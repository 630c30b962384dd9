package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"promrelay/config"
	"promrelay/informers"
	"promrelay/informers/manifests"
	"promrelay/scrape"
	"promrelay/scrape/order"
	"promrelay/targets"
	"promrelay/wal"
)

// explainCase is the file want.yaml of a case.
type explainCase struct {
	Explain       string
	Config        string
	Summary, Mend []string
	Steps         []string // parts of their texts and facts
}

// explainTargets starts the targets of the cases. It returns what replaces the variables of their manifests.
func explainTargets(t *testing.T) *strings.Replacer {
	t.Helper()
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = io.WriteString(w, "a 1\nb 2\nc 3\n")
	})
	plain, secure := httptest.NewServer(page), httptest.NewTLSServer(page)
	auth := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusUnauthorized) }))
	html := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>")
	}))
	for _, s := range []*httptest.Server{plain, secure, auth, html} {
		t.Cleanup(s.Close)
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	port := func(a net.Addr) string { return fmt.Sprint(a.(*net.TCPAddr).Port) }
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	return strings.NewReplacer("$PLAIN", port(plain.Listener.Addr()), "$TLS", port(secure.Listener.Addr()), "$AUTH", port(auth.Listener.Addr()),
		"$HTML", port(html.Listener.Addr()), "$CLOSED", port(closed.Addr()), "$CA", strings.ReplaceAll(strings.TrimSpace(string(ca)), "\n", "\n    "))
}

// TestExplainCases: the first sentence names the fault, and the mend what to change, with real scrapes.
func TestExplainCases(t *testing.T) {
	variables := explainTargets(t)
	dirs, err := filepath.Glob("../../test/explain/testdata/*/want.yaml")
	if err != nil || len(dirs) < 10 {
		t.Fatalf("%d cases: %v", len(dirs), err)
	}
	for _, path := range dirs {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			var want explainCase
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			d := yaml.NewDecoder(bytes.NewReader(text))
			d.KnownFields(true)
			if err := d.Decode(&want); err != nil || len(want.Summary) == 0 {
				t.Fatalf("want.yaml needs explain, summary and mend: %v", err)
			}
			x := explainedCase(t, dir, want, variables)
			for _, part := range want.Summary {
				if !strings.Contains(x.Summary, part) {
					t.Errorf("summary %q\nlacks %q", x.Summary, part)
				}
			}
			for _, part := range want.Mend {
				if !strings.Contains(x.Mend, part) {
					t.Errorf("mend %q\nlacks %q", x.Mend, part)
				}
			}
			for _, part := range want.Steps {
				if !slices.ContainsFunc(x.Steps, func(s targets.Step) bool { return strings.Contains(s.Text+"\n"+strings.Join(s.Facts, "\n"), part) }) {
					t.Errorf("steps %+v\nlack %q", x.Steps, part)
				}
			}
			if (x.Outcome == targets.OutcomeBroken) != (len(want.Mend) > 0) {
				t.Errorf("it is %s", x.Outcome)
			}
		})
	}
}

// explainedCase runs discovery and scrapes of a case until its explanation waits for nothing.
func explainedCase(t *testing.T, dir string, want explainCase, variables *strings.Replacer) (x targets.Explanation) {
	t.Helper()
	objects := t.TempDir()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err == nil && f.Name() != "want.yaml" {
			err = os.WriteFile(filepath.Join(objects, f.Name()), []byte(variables.Replace(string(text))), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if want.Config == "" {
		want.Config = "monitors: {}"
	}
	c, err := config.Load([]byte(want.Config), "")
	if err != nil {
		t.Fatal(err)
	}
	m, err := manifests.New(objects, nil)
	if err != nil {
		t.Fatal(err)
	}
	d, err := informers.New(informers.Options{Backend: m})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Apply(c); err != nil {
		t.Fatal(err)
	}
	log, err := wal.Open(wal.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	pool, err := scrape.New(scrape.Options{Log: log, Guard: order.New()})
	if err != nil {
		t.Fatal(err)
	}
	parts := make(chan error, 3)
	for _, run := range []func() error{
		func() error { return d.Run(t.Context(), pool.Apply) }, func() error { return pool.Run(t.Context()) }, func() error { return log.Run(t.Context()) },
	} {
		go func() { parts <- run() }()
	}
	t.Cleanup(func() { // the context has ended
		for range 3 {
			if err := <-parts; err != nil {
				t.Error(err)
			}
		}
		_ = log.Close()
	})
	kind, name, _ := strings.Cut(want.Explain, " ")
	subject, err := targets.ParseSubject(kind, "", name)
	if err != nil {
		t.Fatal(err)
	}
	scrapes := targets.Live{Scrapes: live(pool, nil).Scrapes}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if !d.Settled() {
			continue
		}
		if x = d.Explain(subject, scrapes); x.Outcome != targets.OutcomeWaiting {
			break
		}
	}
	return x
}

var explainBlock = regexp.MustCompile("(?ms)^```\n\\$ promrelay (explain .*?)\n(.*?)^```$")

// TestExplainDocument runs the commands of documents, and demands the output that they show.
func TestExplainDocument(t *testing.T) {
	t.Chdir("../..")
	for document, least := range map[string]int{"docs/explain.md": 2, "docs/annotations.md": 1} {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		blocks := explainBlock.FindAllStringSubmatch(string(text), -1)
		if len(blocks) < least {
			t.Fatalf("%d commands in %s", len(blocks), document)
		}
		for _, b := range blocks {
			explainsAsShown(t, b[1], b[2])
		}
	}
}

// explainsAsShown runs a command that finds a broken step.
func explainsAsShown(t *testing.T, command, shown string) {
	t.Helper()
	words := strings.Fields(command)
	o := explainOptions{Kind: words[1], Name: words[2]}
	o.Output = "text"
	for _, w := range words[3:] {
		if dir, ok := strings.CutPrefix(w, "--manifests="); ok {
			o.Manifests = dir
		} else {
			t.Fatalf("the test does not know %s", w)
		}
	}
	var out bytes.Buffer
	if err := explain(&out, o); err == nil {
		t.Errorf("%s: no error, though a step is broken", command)
	}
	if out.String() != shown {
		t.Errorf("%s: got\n%s\nthe document has\n%s", command, out.String(), shown)
	}
}

// TestExplainAsJSON is for programs.
func TestExplainAsJSON(t *testing.T) {
	var out bytes.Buffer
	o := explainOptions{Kind: "svc", Name: "shop/web"}
	o.Manifests, o.Output = "../../test/explain/testdata/wrong-label", "json"
	err := explain(&out, o)
	var x targets.Explanation
	if bad := json.Unmarshal(out.Bytes(), &x); bad != nil || err == nil || !strings.HasPrefix(x.Summary, "no monitor selects it; nearest is serviceMonitor/shop/web/0") {
		t.Errorf("got %s, %v", out.String(), err)
	}
}
