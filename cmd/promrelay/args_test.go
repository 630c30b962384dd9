package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// commandWith runs a command with a standard input, and returns the standard output.
func commandWith(t *testing.T, input string, args ...string) (string, error) {
	t.Helper()
	in, out := filepath.Join(t.TempDir(), "in"), filepath.Join(t.TempDir(), "out")
	write(t, in, input)
	stdin, err := os.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer stdout.Close()
	realIn, realOut := os.Stdin, os.Stdout
	defer func() { os.Stdin, os.Stdout = realIn, realOut }()
	os.Stdin, os.Stdout = stdin, stdout
	err = command(args)
	text, readErr := os.ReadFile(out)
	if readErr != nil {
		t.Fatal(readErr)
	}
	return string(text), err
}

// TestStandardInput: - is the standard input, wherever it stands.
func TestStandardInput(t *testing.T) {
	const agent = "kind: PrometheusAgent\nmetadata: {name: shop, namespace: a}\nspec: {serviceMonitorSelector: {}}\n"
	for line, c := range map[string]struct{ input, want string }{
		"lint -":                                  {clusterManifest, "errors"},
		"lint - --namespace=shop":                 {clusterManifest, "errors"},
		"lint --namespace shop -":                 {clusterManifest, "errors"},
		"lint --namespace=shop -- -":              {clusterManifest, "errors"},
		"lint lint/testdata/good -":               {clusterManifest, "errors"},
		"migrate prometheusagent -":               {agent, "monitors:"},
		"migrate prometheusagent - --namespace=x": {agent, "monitors:"},
		"check --config.file=- --no-files":        {"monitors: {}\n", "-: valid"},
		"check --config.file - --no-files":        {"monitors: {}\n", "-: valid"},
	} {
		out, err := commandWith(t, c.input, strings.Fields(line)...)
		if err != nil && !errors.Is(err, errFindings) || !strings.Contains(out, c.want) {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
}

// TestBadArguments: an error names what the user may have meant.
func TestBadArguments(t *testing.T) {
	for line, want := range map[string]string{
		"check --config.flie=x":            `unknown flag --config.flie, did you mean "--config.file"?`,
		"check --no-flies":                 `unknown flag --no-flies, did you mean "--no-files"?`,
		"migrate prometheusagent a --ptch": `unknown flag --ptch, did you mean "--patch"?`,
		"version --xyzxyzxyz":              "unknown flag --xyzxyzxyz, try --help",
		"check promrelay.yml":              `unexpected argument "promrelay.yml": a configuration file is given with --config.file=promrelay.yml`,
		"version x":                        "unexpected x, try --help",
	} {
		if err := command(strings.Fields(line)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", line, err, want)
		}
	}
}

// TestCheckStaysOffline: a check does not ask the metadata service of a cloud for credentials, even if it is there.
func TestCheckStaysOffline(t *testing.T) {
	var asked atomic.Int32
	cloud := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusNotFound)
	}))
	defer cloud.Close()
	home := t.TempDir()
	for key, value := range map[string]string{
		"AWS_EC2_METADATA_SERVICE_ENDPOINT": cloud.URL, "GCE_METADATA_HOST": strings.TrimPrefix(cloud.URL, "http://"), "HOME": home,
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": "", "GOOGLE_APPLICATION_CREDENTIALS": "", "AWS_REGION": "",
	} {
		t.Setenv(key, value)
	}
	path := filepath.Join(t.TempDir(), "promrelay.yml")
	for text, want := range map[string]string{
		"sigv4: {region: eu-west-1}":                                    "",
		"sigv4: {region: eu-west-1, role_arn: 'arn:aws:iam::1:role/a'}": "",
		"sigv4: {}":      "region not configured in sigv4",
		"google_iam: {}": "",
	} {
		write(t, path, "remote_write:\n- url: http://a/write\n  "+text+"\n")
		var out strings.Builder
		if err := check(&out, checkOptions{ConfigFile: path, Files: true}); err != nil || !strings.Contains(out.String(), want) || want == "" && strings.Contains(out.String(), "run refuses it") {
			t.Errorf("%s: %v\n%s", text, err, &out)
		}
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("the metadata service was asked %d times", n)
	}
}
