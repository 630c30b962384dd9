package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"promrelay/wal"
)

func TestCheck(t *testing.T) {
	const good = "remote_write: [{url: 'http://a/write'}]\n"
	for name, c := range map[string]struct {
		config string
		want   string // in the messages
		strict string // the same with --strict; empty: it is accepted
	}{
		"good":    {"scrape_configs: [{job_name: a, static_configs: [{targets: [b]}]}]\nremote_write:\n- url: http://a/write\n", "valid, with 1 scrape_configs and 1 remote_write", ""},
		"warning": {"remote_write:\n- url: http://a/write\n  queue_config: {capacity: 5}\n", "warning: line 3: remote_write[].queue_config.capacity has no effect", "FILE: line 3: remote_write[].queue_config.capacity"},
		"key":     {"scrape_config: []\n", `FILE: line 1: unknown key "scrape_config"`, "FILE: line 1: unknown"},
		"lines":   {"scrape_config: []\nwal: {max_byte: 1}\n", "\nFILE: line 2: unknown key", "FILE: line 1: unknown"},
		"twice":   {"remote_write:\n- url: http://a/write\n- url: http://a/write\n", `line 3: remote_write "http://a/write": another one has the same name or URL`, "line 3"},
		"query":   {"remote_write:\n- url: http://u:secret@a/write?p=secret\n- url: http://a/write?p=secret\n", `remote_write "http://a/write": another one has the same name or URL`, "line 3"},
		"status":  {good + "relay: {retry_status_codes: [204]}\n", "line 2: relay.retry_status_codes: 204: want statuses", "line 2"},
		"ca": {
			"remote_write:\n- url: http://a/write\n  tls_config: {ca_file: none.crt}\n", "none.crt: there is no such file\nFILE: valid",
			`FILE: line 3: remote_write "http://a/write": tls_config.ca_file: `,
		},
		"no CA": {
			"remote_write:\n- url: http://a/write\n  tls_config: {ca_file: promrelay.yml}\n", "promrelay.yml; run refuses it on this machine\nFILE: valid",
			`FILE: line 2: remote_write "http://a/write": HTTP client: unable to use specified CA cert`,
		},
		"a device": {
			"remote_write:\n- url: http://a/write\n  tls_config: {ca_file: /dev/zero}\n", "ca_file: /dev/zero: it is no regular file\nFILE: valid", "FILE: line 3: ",
		},
		"credentials of a cloud": {
			"remote_write:\n- url: http://a/write\n  google_iam: {credentials_file: none.json}\n", "none.json: there is no such file\n", "FILE: line 3: ",
		},
		"volume that is not there": {good + "wal: {dir: a/b, min_free_bytes: 4000000TB}\n", "warning: line 2: wal.min_free_bytes is 4000000TB, and the volume of ", "line 2: wal.min"},
		"volume":                   {good + "wal:\n  dir: there\n  min_free_bytes: 4000000TB\n", "FILE: line 4: wal.min_free_bytes is 4000000TB, and the volume of ", "FILE: line 4"},
		"a file in place of the log": {
			good + "wal: {dir: promrelay.yml/wal, min_free_bytes: -1}\n", "warning: line 2: wal.dir: DIR/promrelay.yml/wal cannot be written: ", "FILE: line 2: wal.dir",
		},
		"a directory of the kernel": {good + "wal: {dir: /proc/x, min_free_bytes: -1}\n", "warning: line 2: wal.dir: /proc/x cannot be written: /proc is in a proc of the kernel", "FILE: line 2: wal.dir"},
		"an empty block":            {good + "monitors:\n", "FILE: warning: line 2: monitors is empty, which is as if it were not there; write `monitors: {}`", "FILE: line 2: monitors is empty"},
		"one selector": {
			good + "monitors: {probeSelector: {}}\n", "FILE: warning: line 2: monitors: probeSelector is given and serviceMonitorSelector, ", "FILE: line 2: monitors: probeSelector",
		},
		"a note": {
			good + "monitors: {}\n", "FILE: note: no external_labels: ", "",
		},
		"what is on": {
			good + "nodes: {}\nglobal: {external_labels: {cluster: a}}\n", "\nFILE: valid, with 0 scrape_configs and 1 remote_write; monitors off, nodes on, objects from a cluster\n", "",
		},
		"warnings beside mistakes": {
			"monitors:\nwal: {max_byte: 1}\nremote_write:\n- url: http://a/write\n  tls_config: {ca_file: none.crt}\n",
			"FILE: warning: line 1: monitors is empty, which is as if it were not there; write `monitors: {}` to turn it on\nFILE: line 2: unknown key \"max_byte\" in wal, did you mean \"max_bytes\"?\nFILE: warning: line 5: remote_write",
			"FILE: line 5: ",
		},
		"manifests":      {good + "manifests: {directory: there}\n", "bad.yaml: line 1: an object without kind", "FILE: line 2: "},
		"no manifests":   {good + "manifests: {directory: none}\n", "warning: line 2: manifests.directory: DIR/none: there is no such file\nFILE: valid", "FILE: line 2: manifests.directory"},
		"no destination": {"monitors: {}\n", "warning: no remote_write", "FILE: no remote_write"},
		"a rule of a class": {
			good + "monitors:\n  scrapeClasses:\n  - {name: a, relabelings: [{regex: '('}]}\n", "FILE: line 4: ", "FILE: line 4: ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "promrelay.yml")
			if err := os.Mkdir(filepath.Join(dir, "there"), 0o755); err != nil {
				t.Fatal(err)
			}
			for file, text := range map[string]string{"promrelay.yml": c.config, "there/bad.yaml": "kind: Pod\nspec: 3\n"} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			t.Chdir(dir)
			messages := func(strict bool) string {
				var out bytes.Buffer
				if err := check(&out, checkOptions{ConfigFile: path, Strict: strict, Files: true}); err != nil {
					out.WriteString(strings.Join(lines(err), "\n"))
				}
				if got := out.String(); !strings.Contains(got, path) || strings.Contains(got, "secret") {
					t.Errorf("got %s", got)
				}
				return strings.NewReplacer(path+":", "FILE:", dir, "DIR").Replace("\n" + out.String())
			}
			if got := messages(false); !strings.Contains(got, c.want) {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
			got := messages(true)
			if strings.Contains(got, "valid, with") != (c.strict == "") || !strings.Contains(got, c.strict) || strings.Contains(got, "warning") {
				t.Errorf("strict: got %s\nwant %s", got, c.strict)
			}
		})
	}
}

// TestCheckWithoutFiles: outside the pod, a configuration is good even if its files exist only on the pod.
func TestCheckWithoutFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "promrelay.yml")
	text := `global: {external_labels: {cluster: a}}
kubernetes: {kubeconfig: none/config}
monitors: {}
nodes: {}
scrape_config_files: [none/*.yml]
scrape_configs:
- {job_name: a, file_sd_configs: [{files: [none.json]}], bearer_token_file: none/token}
wal: {dir: /proc/x, min_free_bytes: 4000000TB}
remote_write:
- {url: http://a/write, basic_auth: {username: u, password_file: /none/password}}
- {url: https://b/write, tls_config: {ca_file: promrelay.yml, cert_file: none.crt, key_file: none.key}}
- {url: https://c/write, tls_config: {ca_file: promrelay.yml}}
- {url: https://d/write, google_iam: {credentials_file: none.json}}
`
	messages := func(text string, o checkOptions) string {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		o.ConfigFile = path
		if err := check(&out, o); err != nil {
			return strings.Join(lines(err), "\n")
		}
		return out.String()
	}
	if got := messages(text, checkOptions{Strict: true}); strings.Count(got, "\n") != 1 || !strings.Contains(got, ": valid, with 1 scrape_configs") {
		t.Errorf("without files: %s", got)
	}
	if got := messages(text, checkOptions{Strict: true, Files: true}); strings.Count(got, "\n") < 8 {
		t.Errorf("with files: %s", got)
	}
	if got := messages(text+"wall: {}\nmanifests:\n", checkOptions{Strict: true}); strings.Contains(got, "none") || !strings.Contains(got, `unknown key "wall"`) {
		t.Errorf("with a mistake: %s", got)
	}
}

// TestLoadShowsNoSecrets: the errors of other packages show no secrets, either.
func TestLoadShowsNoSecrets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "promrelay.yml")
	for _, text := range []string{
		"remote_write:\n- url: http://u:SEKRET-pass@a:x/write\n",
		"remote_write:\n- url: http://a/write\n  basic_auth: SEKRET\n",
		"remote_write:\n- url: http://a/write\n  basic_auth: {username: u, password: SEKRET-pass}\n  tls_config: {ca_file: /SEKRET-pass}\n",
		"monitors: {serviceDiscoveryRole: SEKRET-pass}\nremote_write:\n- url: http://a/write\n  bearer_token: SEKRET-pass\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := load(path)
		if err == nil {
			t.Errorf("%s is taken", text)
		} else if strings.Contains(err.Error(), "SEKRET") || !strings.Contains(err.Error(), "line ") {
			t.Errorf("%s gives %v", text, err)
		}
	}
}

// Check warns of samples that wait for a removed destination, while the log is in use.
func TestCheckTellsOfBacklogs(t *testing.T) {
	dir := t.TempDir()
	store, err := wal.Open(wal.Options{Dir: filepath.Join(dir, "wal"), MinFreeBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for _, id := range []string{"old", "http://h/write?x=secret", "kept", "taken"} {
		mark, err := store.Destination(id)
		if err != nil {
			t.Fatal(err)
		}
		head, err := store.Append(store.Segment(), wal.Frame{Type: 1, Count: 10})
		if err != nil {
			t.Fatal(err)
		}
		if id == "taken" {
			mark.Acknowledge(head)
		}
	}
	if err := store.Sync(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "promrelay.yml")
	messages := func(text string) string {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := check(&out, checkOptions{ConfigFile: path, Files: true}); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	const floor = "wal: {dir: wal, min_free_bytes: -1}\n"
	got := messages(floor + "remote_write:\n- {name: kept, url: http://h/write}\n")
	for _, want := range []string{
		`warning: destination removed with samples waiting: "old", for which ` + filepath.Join(dir, "wal") + " has 40", "wal has 30;", "10m after",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
	if n := strings.Count(got, "warning"); n != 2 || strings.Contains(got, "secret") {
		t.Errorf("%d warnings, want 2: %s", n, got)
	}
	if got := messages(floor + "remote_write:\n- {name: kept, url: http://h/write}\n- {name: old, url: http://h/write}\n- {url: 'http://h/write?x=secret'}\n"); strings.Contains(got, "warning") {
		t.Errorf("warned of destinations that are there: %s", got)
	}
	if got := messages("wal: {dir: none, min_free_bytes: -1}\n"); strings.Contains(got, "removed") {
		t.Errorf("warned without a log: %s", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "none")); err == nil {
		t.Error("check made a directory")
	}
}
