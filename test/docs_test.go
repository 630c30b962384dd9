package test

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"promrelay/config"
)

// documents returns the Markdown of the repository by path, without what belongs to one package.
func documents(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/runbooks/*.md"} {
		paths, err := fs.Glob(repositoryFS(), pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range paths {
			text, err := fs.ReadFile(repositoryFS(), p)
			if err != nil {
				t.Fatal(err)
			}
			out[p] = string(text)
		}
	}
	for _, p := range []string{"README.md", "CHANGELOG.md", "docs/configuration.md", "docs/fidelity.md", "docs/metrics.md", "docs/operations.md", "docs/remote-write.md"} {
		if out[p] == "" {
			t.Fatalf("%s is missing", p)
		}
	}
	return out
}

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// TestExamples demands that the YAML in documents is an object, or a configuration that loads without a warning.
func TestExamples(t *testing.T) {
	d := decoder(t)
	configs := map[string]int{}
	for file, text := range documents(t) {
		for _, block := range yamlBlock.FindAllStringSubmatch(text, -1) {
			if strings.HasPrefix(block[1], "apiVersion:") {
				for doc := range bytes.SplitSeq([]byte(block[1]), []byte("\n---\n")) {
					if _, _, err := d.Decode(doc, nil, nil); err != nil {
						t.Errorf("%s: %v", file, err)
					}
				}
				continue
			}
			configs[file]++
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "manifests"), 0o755); err != nil { // the only thing that must exist
				t.Fatal(err)
			}
			c, err := config.Load([]byte(block[1]), dir)
			if err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			for _, w := range c.Warnings {
				t.Errorf("%s: %s", file, w)
			}
		}
	}
	for _, file := range []string{"README.md", "docs/configuration.md"} {
		if configs[file] == 0 {
			t.Errorf("%s shows no configuration", file)
		}
	}
}

// TestKeysAreDocumented demands a row in docs/configuration.md for every key of our blocks.
func TestKeysAreDocumented(t *testing.T) {
	text := documents(t)["docs/configuration.md"]
	for _, block := range []any{config.Kubernetes{}, config.Manifests{}, config.Nodes{}, config.NodeJob{}, config.NodeMode{}, config.Annotations{}, config.Scrape{}, config.WAL{}, config.Relay{}} {
		typ := reflect.TypeOf(block)
		for i := range typ.NumField() {
			key, _, _ := strings.Cut(typ.Field(i).Tag.Get("yaml"), ",")
			if key != "" && !regexp.MustCompile("(?m)^\\| [^|]*`"+key+"`").MatchString(text) {
				t.Errorf("%s.%s has no line", typ.Name(), key)
			}
		}
	}
}

var metricName = regexp.MustCompile(`\bpromrelay_[a-z0-9_]+`)

// TestMetricsExist demands that the metrics that documents name exist.
func TestMetricsExist(t *testing.T) {
	all := allMetrics(t)
	known := func(name string) bool {
		for _, suffix := range []string{"", "_bucket", "_sum", "_count"} {
			if base, ok := strings.CutSuffix(name, suffix); ok && all[base].name != "" {
				return true
			}
		}
		return false
	}
	for file, text := range documents(t) {
		for _, name := range metricName.FindAllString(text, -1) {
			if !known(name) {
				t.Errorf("%s names %s, which there is not", file, name)
			}
		}
	}
}

var logLine = regexp.MustCompile(`(?m)^\| (.*?) \|`)

// logSection returns what docs/operations.md says about the log.
func logSection(t *testing.T) string {
	_, section, ok := strings.Cut(documents(t)["docs/operations.md"], "\n## What the log says\n")
	if !ok {
		t.Fatal("docs/operations.md has no such section")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	return section
}

var logCall = regexp.MustCompile(`log\.(?:Debug|Info|Warn|Error)\("([^"]+)"`)

// TestRelayMessagesAreExplained demands that docs/operations.md has each message that relay logs.
func TestRelayMessagesAreExplained(t *testing.T) {
	section := logSection(t)
	files, err := fs.Glob(repositoryFS(), "relay/*.go")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := fs.ReadFile(repositoryFS(), file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range logCall.FindAllSubmatch(text, -1) {
			if n++; !strings.Contains(section, "`"+string(m[1])+"`") {
				t.Errorf("docs/operations.md does not explain %q of %s", m[1], file)
			}
		}
	}
	if n < 10 {
		t.Errorf("only %d messages were found", n)
	}
}

// TestLogLinesExist demands that the code logs the messages that docs/operations.md explains.
func TestLogLinesExist(t *testing.T) {
	section := logSection(t)
	var code strings.Builder
	err := fs.WalkDir(repositoryFS(), ".", func(p string, d fs.DirEntry, err error) error {
		top, _, _ := strings.Cut(p, "/")
		if _, room := floors[top]; err != nil || d.IsDir() || !room || path.Ext(p) != ".go" || strings.HasSuffix(p, "_test.go") {
			return err
		}
		text, err := fs.ReadFile(repositoryFS(), p)
		code.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, row := range logLine.FindAllStringSubmatch(section, -1) {
		for _, quoted := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
			if n++; !strings.Contains(code.String(), quoted[1]) {
				t.Errorf("nothing says %q", quoted[1])
			}
		}
	}
	if n < 10 {
		t.Errorf("only %d messages were found", n)
	}
}

var link = regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`)

var (
	fenced  = regexp.MustCompile("(?ms)^```.*?^```$")
	heading = regexp.MustCompile("(?m)^#+ +(.*)$")
	// noSlug is what GitHub leaves out when it makes an anchor of a heading.
	noSlug     = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	linkTarget = regexp.MustCompile(`\]\(([^)#\s]*)#([^)]+)\)`)
)

// anchors are those of the headings of a document.
func anchors(text string) (out []string) {
	for _, h := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		title := regexp.MustCompile(`\]\([^)]*\)`).ReplaceAllString(h[1], "]")
		out = append(out, strings.ReplaceAll(strings.ToLower(noSlug.ReplaceAllString(title, "")), " ", "-"))
	}
	return out
}

// TestAnchors demands that links to a place in a document name one of its headings.
func TestAnchors(t *testing.T) {
	all, n := documents(t), 0
	for file, text := range all {
		for _, l := range linkTarget.FindAllStringSubmatch(text, -1) {
			to := file
			if l[1] != "" {
				to = path.Join(path.Dir(file), l[1])
			}
			if strings.Contains(l[1], "://") || path.Ext(to) != ".md" || all[to] == "" {
				continue
			}
			if n++; !slices.Contains(anchors(all[to]), l[2]) {
				t.Errorf("%s links to %s#%s, which is no heading", file, to, l[2])
			}
		}
	}
	if n < 10 {
		t.Errorf("only %d links were found", n)
	}
}

// TestLinks demands that the files that documents link to, and the directories of deploy/ that they name, exist.
func TestLinks(t *testing.T) {
	for file, text := range documents(t) {
		var paths []string
		for _, l := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(l[1], "://") {
				continue
			}
			if _, err := fs.Stat(repositoryFS(), path.Join(path.Dir(file), l[1])); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
		for _, p := range regexp.MustCompile(`\bdeploy/[a-z/-]+`).FindAllString(text, -1) {
			paths = append(paths, strings.TrimSuffix(p, "/"))
		}
		slices.Sort(paths)
		for _, p := range slices.Compact(paths) {
			matches, err := fs.Glob(repositoryFS(), p+"*")
			if err != nil || len(matches) == 0 {
				t.Errorf("%s names %s, which there is not", file, p)
			}
		}
	}
}
