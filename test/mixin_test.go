package test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"promrelay/test/dashboards"
	"promrelay/test/peers"
)

const (
	mixin         = "deploy/mixin"
	mixinRendered = mixin + "/rendered"
	ruleTests     = mixin + "/tests.yaml"
	runbooks      = "docs/runbooks"
)

// jsonnet evaluates an expression with the mixin, as any user of it would.
func jsonnet(t *testing.T, expr string, flags ...string) []byte {
	t.Helper()
	if testing.Short() {
		t.Skip("jsonnet is compiled for this")
	}
	return tool(t, "jsonnet", append(flags, "--jpath", filepath.Join(absolute(t), mixin), "--exec", expr)...)
}

// tool runs a tool of the module of jsonnet.
func tool(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("go", append([]string{"tool", name}, args...)...)
	cmd.Dir = filepath.Join(repository, "test", "jsonnet")
	cmd.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false", "GOWORK=off")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, &errs)
	}
	return out
}

func absolute(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(repository)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestMixin demands that the rendered files are those of the jsonnet.
func TestMixin(t *testing.T) {
	var boards map[string]json.RawMessage
	if err := json.Unmarshal(jsonnet(t, `(import 'mixin.libsonnet').grafanaDashboards`), &boards); err != nil {
		t.Fatal(err)
	}
	for name, board := range boards {
		var out bytes.Buffer
		if err := json.Indent(&out, board, "", "  "); err != nil {
			t.Fatal(err)
		}
		out.WriteString("\n")
		generated(t, mixinRendered+"/"+name, out.Bytes(), "make update-deploy")
	}
	have, err := filepath.Glob(filepath.Join(repository, mixinRendered, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range have {
		if boards[filepath.Base(file)] == nil {
			t.Errorf("%s is of no dashboard: remove it", file)
		}
	}
	rules := jsonnet(t, `std.manifestYamlDoc((import 'mixin.libsonnet').prometheusAlerts, quote_keys=false)`, "--string")
	generated(t, mixinRendered+"/alerts.yaml", rules, "make update-deploy")
}

// TestMixinConfiguration overrides the selector and the label of the cluster.
func TestMixinConfiguration(t *testing.T) {
	out := string(jsonnet(t, `(import 'mixin.libsonnet') + { _config+:: { selector: 'job="relays"', clusterLabel: 'k8s', repositoryURL: 'https://example.com/' } } + { all: [self.prometheusAlerts, self.grafanaDashboards] }`))
	for _, bad := range []string{`job=\"promrelay\"`, "(cluster)", "labels.cluster", "{{cluster}}", `cluster=~`} {
		if strings.Contains(out, bad) {
			t.Errorf("%s is left", bad)
		}
	}
	for _, want := range []string{`job=\"relays\"`, `k8s=~\"$cluster\"`, "$labels.k8s", `"runbook_url": "https://example.com/docs/runbooks/PromrelayDown.md"`} {
		if !strings.Contains(out, want) {
			t.Errorf("%s is missing", want)
		}
	}
}

func TestMixinFormat(t *testing.T) {
	if testing.Short() {
		t.Skip("jsonnetfmt is compiled for this")
	}
	files, err := filepath.Glob(filepath.Join(absolute(t), mixin, "*.libsonnet"))
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob(filepath.Join(absolute(t), mixin, "dashboards", "*.libsonnet"))
	if err != nil {
		t.Fatal(err)
	}
	how := "--test"
	if *update {
		how = "--in-place"
	}
	tool(t, "jsonnetfmt", append([]string{how}, append(files, more...)...)...)
}

// foreign are metrics of dashboards that are not the relay's own.
var foreign = regexp.MustCompile(`^(up|scrape_samples_scraped|process_\w+|go_\w+)$`)

// TestDashboards demands that what the dashboards name exists.
func TestDashboards(t *testing.T) {
	all := allMetrics(t)
	queries, err := dashboards.Read(filepath.Join(repository, mixinRendered))
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, q := range queries {
		used, err := selectors(q.Expr)
		if err != nil {
			t.Errorf("%s, %s: %v", q.Dashboard, q.Panel, err)
		}
		for _, s := range used {
			name := strings.TrimSuffix(s.Name, "_bucket")
			shown[name] = true
			m, ok := all[name]
			if !ok && s.Name != "" && !foreign.MatchString(s.Name) {
				t.Errorf("%s, %s: there is no metric %s", q.Dashboard, q.Panel, s.Name)
			}
			for _, l := range s.LabelMatchers {
				if ok && l.Name != "__name__" && !slices.Contains(scraped, l.Name) && !slices.Contains(m.labels, l.Name) {
					t.Errorf("%s, %s: %s has no label %s", q.Dashboard, q.Panel, name, l.Name)
				}
			}
		}
	}
	for _, r := range alerts(t) {
		used, _ := selectors(r.Expr) // TestAlerts reports the error
		for _, s := range used {
			if !shown[s.Name] && !strings.HasSuffix(s.Name, "_panics_total") && !slices.Contains(onlyAlerts, s.Name) {
				t.Errorf("%s alerts on %s, which no dashboard shows", r.Alert, s.Name)
			}
		}
	}
}

// onlyAlerts are metrics of rare faults, which have an alert and no panel.
var onlyAlerts = []string{"promrelay_relay_undecodable_records_total", "promrelay_wal_directory_renewals_total", "promrelay_wal_removed_total"}

// TestRules has promtool evaluate the alerts: each fires in a test, and none in that of a relay that is well.
func TestRules(t *testing.T) {
	if testing.Short() {
		t.Skip("promtool is compiled for this")
	}
	promtool, err := peers.Build(t.Context(), "", peers.Promtool)
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"check", "rules", alertFile, mixinRendered + "/alerts.yaml"}, {"test", "rules", ruleTests}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = absolute(t)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	text, err := os.ReadFile(filepath.Join(repository, ruleTests))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range alerts(t) {
		if !strings.Contains(string(text), `{alertname="`+r.Alert+`"}`) {
			t.Errorf("%s: %s has no test in which it fires", ruleTests, r.Alert)
		}
	}
}

var runbookSections = []string{"What it means", "What it costs", "Where to look", "What to do"}

// TestRunbooks demands a runbook for each alert, with all sections, and none for anything else.
func TestRunbooks(t *testing.T) {
	left := map[string]string{}
	for file, text := range documents(t) {
		if filepath.Dir(file) == runbooks {
			left[file] = text
		}
	}
	for _, r := range alerts(t) {
		file := runbooks + "/" + r.Alert + ".md"
		text, ok := left[file]
		if delete(left, file); !ok {
			t.Errorf("%s has no runbook %s", r.Alert, file)
			continue
		}
		head := "# " + r.Alert + "\n\n*" + r.Labels["severity"] + "*: " + r.Annotations["summary"] + ".\n"
		if !strings.HasPrefix(text, head) {
			t.Errorf("%s: want it to begin with %q", file, head)
		}
		var have []string
		for _, h := range regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(text, -1) {
			have = append(have, h[1])
		}
		if !slices.Equal(have, runbookSections) {
			t.Errorf("%s: sections %q, want %q", file, have, runbookSections)
		}
		for _, block := range regexp.MustCompile("(?ms)^```promql\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
			for query := range strings.Lines(block[1]) {
				if _, err := promql.ParseExpr(query); err != nil {
					t.Errorf("%s: %v", file, err)
				}
			}
		}
	}
	for _, file := range slices.Sorted(maps.Keys(left)) {
		t.Errorf("%s is the runbook of no alert", file)
	}
}
