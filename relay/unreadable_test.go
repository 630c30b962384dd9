package relay

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnreadableFiles: where a file is missing when a request is to be sent, the relay names the key, and does not blame the receiver. The
// file is used as soon as it is there.
func TestUnreadableFiles(t *testing.T) {
	for key, more := range map[string]string{
		"basic_auth.password_file":       "basic_auth: {username: u, password_file: FILE}",
		"basic_auth.username_file":       "basic_auth: {username_file: FILE, password: p}",
		"bearer_token_file":              "bearer_token_file: FILE",
		"authorization.credentials_file": "authorization: {credentials_file: FILE}",
		"oauth2.client_secret_file":      "oauth2: {client_id: a, client_secret_file: FILE, token_url: 'http://127.0.0.1:1/'}",
		"http_headers.X-A.files":         "http_headers: {X-A: {files: [FILE]}}",
		"oauth2.tls_config.ca_file":      "oauth2: {client_id: a, client_secret: b, token_url: 'https://127.0.0.1:1/', tls_config: {ca_file: FILE}}",
		"tls_config.ca_file":             "tls_config: {ca_file: FILE}",
		"tls_config.cert_file":           "tls_config: {cert_file: FILE, key_file: FILE}",
		"tls_config.key_file":            "tls_config: {cert_file: unreadable_test.go, key_file: FILE}",
	} {
		t.Run(key, func(t *testing.T) {
			v := newVisits(t, status(204))
			file := filepath.Join(t.TempDir(), "kept")
			c, err := newClient(dest(t, v.URL, strings.ReplaceAll(more, "FILE", file)), nil, nil)
			if err == nil {
				t.Cleanup(func() { closeClient(c) })
				err = c.post(context.Background(), someRequest(), 0).problem()
			}
			if key == "bearer_token_file" { // which Prometheus makes the other
				key = "authorization.credentials_file"
			}
			want := fmt.Sprintf(`the relay cannot read %s (remote_write "%s", %s): there is no such file`, file, v.URL, key)
			if err == nil || !strings.Contains(err.Error(), want) || len(v.came) > 0 {
				t.Errorf("%d requests; got %v\nwant %s", len(v.came), err, want)
			}
			if err != nil && !strings.Contains(advice(err.Error()), "make that file") {
				t.Errorf("advice: %s", advice(err.Error()))
			}
			if key != "basic_auth.password_file" {
				return
			}
			if err := os.WriteFile(file, []byte("p"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := c.post(context.Background(), someRequest(), 0).problem(); err != nil || len(v.came) != 1 {
				t.Errorf("when it is there: %d requests, %v", len(v.came), err)
			}
		})
	}
}
