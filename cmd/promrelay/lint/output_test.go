package lint

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// odd has findings with everything that a form must escape.
var odd = Report{Files: 2, Monitors: 1, Findings: []Finding{
	{Rule: "rejected", Severity: Error, Path: "a b,c:d/100%.yaml", Line: 3, Object: "ServiceMonitor a/b", Message: "a: 50%\r\nnext\x1b[2J", Mend: "Change it."},
	{Rule: "no-match", Severity: Note, Message: "nothing"},
	{Rule: "unknown-field", Severity: Warning, Path: "/abs/x.yaml", Message: "unknown"},
}}

func written(t *testing.T, format string, r Report) string {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, format, r); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestText(t *testing.T) {
	want := "a b,c:d/100%.yaml:3: error: a: 50%  next [2J [rejected]\n    Change it.\nnote: nothing [no-match]\n/abs/x.yaml: warning: unknown [unknown-field]\n" +
		"1 monitor in 2 files: 1 error, 1 warning, 1 note\n"
	if got := written(t, "text", odd); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestGitHub: the commands are those of GitHub's toolkit, one a line.
func TestGitHub(t *testing.T) {
	want := "::error file=a b%2Cc%3Ad/100%25.yaml,line=3,title=promrelay%3A rejected::a: 50%25%0D%0Anext\x1b[2J%0AChange it.\n" +
		"::notice title=promrelay%3A no-match::nothing\n" +
		"::warning file=/abs/x.yaml,title=promrelay%3A unknown-field::unknown\n"
	if got := written(t, "github", odd); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestJSON(t *testing.T) {
	var got struct {
		Findings                 []Finding
		Files, Monitors, Targets int
	}
	if err := json.Unmarshal([]byte(written(t, "json", odd)), &got); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Findings, odd.Findings) || got.Files != 2 || got.Monitors != 1 {
		t.Errorf("got %+v", got)
	}
	if empty := written(t, "json", Report{}); !strings.Contains(empty, `"findings": []`) {
		t.Errorf("without findings: %s", empty)
	}
}

// TestSARIF: what SARIF 2.1.0 demands of the parts that a report has.
func TestSARIF(t *testing.T) {
	for name, r := range map[string]Report{"odd": odd, "empty": {}, "real": in(t, Options{Paths: []string{"testdata"}})} {
		var log struct {
			Schema  string `json:"$schema"`
			Version string
			Runs    []struct {
				Tool struct {
					Driver struct {
						Name  string
						Rules []struct {
							ID               string
							ShortDescription struct{ Text string }
						}
					}
				}
				Results []struct {
					RuleID    string
					RuleIndex *int
					Level     string
					Message   struct{ Text string }
					Locations []struct {
						PhysicalLocation struct {
							ArtifactLocation struct{ URI string }
							Region           *struct{ StartLine int }
						}
					}
				}
			}
		}
		d := json.NewDecoder(strings.NewReader(written(t, "sarif", r)))
		d.DisallowUnknownFields()
		if err := d.Decode(&log); err != nil {
			t.Fatal(err)
		}
		if log.Version != "2.1.0" || !strings.HasSuffix(log.Schema, "sarif-2.1.0.json") || len(log.Runs) != 1 || log.Runs[0].Tool.Driver.Name == "" || log.Runs[0].Results == nil {
			t.Fatalf("%s: the log is %+v", name, log)
		}
		rules := log.Runs[0].Tool.Driver.Rules
		if len(log.Runs[0].Results) != len(r.Findings) {
			t.Errorf("%s: %d results", name, len(log.Runs[0].Results))
		}
		for i, rule := range rules {
			if rule.ID == "" || rule.ShortDescription.Text == "" || i > 0 && rules[i-1].ID >= rule.ID {
				t.Errorf("%s: rule %+v", name, rule)
			}
		}
		for _, res := range log.Runs[0].Results {
			if res.RuleIndex == nil || *res.RuleIndex < 0 || rules[*res.RuleIndex].ID != res.RuleID || res.Message.Text == "" || !slices.Contains([]string{"error", "warning", "note"}, res.Level) {
				t.Errorf("%s: result %+v", name, res)
			}
			for _, l := range res.Locations {
				uri := l.PhysicalLocation.ArtifactLocation.URI
				if _, err := url.Parse(uri); err != nil || uri == "" || strings.ContainsAny(uri, " %\x1b") && !strings.Contains(uri, "%2") {
					t.Errorf("%s: uri %q, %v", name, uri, err)
				}
				if region := l.PhysicalLocation.Region; region != nil && region.StartLine < 1 {
					t.Errorf("%s: line %d", name, region.StartLine)
				}
			}
		}
	}
}

func TestNoSuchFormat(t *testing.T) {
	if err := Write(&bytes.Buffer{}, "xml", Report{}); err == nil || err.Error() != "--output=xml: want one of text, json, sarif, github" {
		t.Errorf("got %v", err)
	}
}
