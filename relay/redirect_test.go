package relay

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRedirectIsNotFollowed: after these a POST would become a GET, of a login page for instance.
func TestRedirectIsNotFollowed(t *testing.T) {
	tests := map[string]struct {
		code     int
		location string // % is the other server
		more     string
		want     string // the text, without the status
	}{
		"301":                       {301, "%/login?token=secret#secret", "", "%/login"},
		"302":                       {302, "%/login?token=secret", "", "%/login"},
		"303":                       {303, "/login?token=secret", "", "/login"},
		"300":                       {300, "%/", "", "%/"},
		"304":                       {304, "", "", ""},
		"305":                       {305, "%/", "", "%/"},
		"307, not to be followed":   {307, "%/w?token=secret", "follow_redirects: false\n", "%/w"},
		"308, not to be followed":   {308, "%/w?token=secret", "follow_redirects: false\n", "%/w"},
		"307 to nowhere":            {307, "", "", ""},
		"307 to another scheme":     {307, "ftp://host/?secret", "", "ftp://host/"},
		"302 with a user":           {302, "https://bob:secret@host/w", "", "https://host/w"},
		"307 to a URL without path": {307, "mailto:secret", "follow_redirects: false\n", "mailto:"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			other := newVisits(t, status(200))
			v := newVisits(t, redirect(tt.code, strings.ReplaceAll(tt.location, "%", other.URL)))
			a := clientOf(t, v.URL+"/w?p=secret", tt.more).post(t.Context(), someRequest(), 0)
			if a.status != tt.code || len(other.came) > 0 || len(v.came) != 1 {
				t.Errorf("%+v after %d requests, and %d to the other", a, len(v.came), len(other.came))
			}
			want := a.statusText()
			if tt.want != "" {
				want += " to " + strings.ReplaceAll(tt.want, "%", other.URL) + ", which is not followed"
			}
			if got := fmt.Sprint(a.problem()); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}

// credentials are ways by which a request may carry some, and what a request with them has.
var credentials = map[string]struct {
	more, header, value string
}{
	"basic_auth":    {"basic_auth: {username: bob, password: secret}\n", "Authorization", "Basic Ym9iOnNlY3JldA=="},
	"bearer":        {"authorization: {credentials: secret}\n", "Authorization", "Bearer secret"},
	"headers":       {"headers: {X-Token: secret}\n", "X-Token", "secret"},
	"headers, auth": {"http_headers: {X-Other: {secrets: [secret]}}\n", "X-Other", "secret"},
}

// TestRedirectIsFollowed: 307 and 308 keep a POST what it is; credentials go to the host of the configuration alone.
func TestRedirectIsFollowed(t *testing.T) {
	for _, code := range []int{307, 308} {
		for name, cred := range credentials {
			t.Run(fmt.Sprintf("%d with %s", code, name), func(t *testing.T) {
				other := newVisits(t, status(204))
				v := newVisits(t, func(w http.ResponseWriter, r *http.Request) {
					switch r.URL.Path {
					case "/w":
						redirect(code, "/next")(w, r)
					case "/next":
						redirect(code, other.URL+"/elsewhere?q=1")(w, r)
					}
				})
				c := clientOf(t, v.URL+"/w?p=secret", cred.more)
				for range 2 { // the second time the client for strangers is there already
					if a := c.post(t.Context(), someRequest(), 2); a.status != 204 {
						t.Fatalf("%+v", a)
					}
				}
				if len(v.came) != 4 || len(other.came) != 2 {
					t.Fatalf("%d and %d requests", len(v.came), len(other.came))
				}
				for i, r := range v.came {
					if got := r.Header.Get(cred.header); got != cred.value {
						t.Errorf("request %d to the host itself has %s: %q", i, cred.header, got)
					}
				}
				for i, r := range other.came {
					for name, values := range r.Header {
						if strings.Contains(strings.Join(values, " "), "secret") || name == "Authorization" || name == "Referer" || name == "Cookie" {
							t.Errorf("request %d to the other host has %s: %v", i, name, values)
						}
					}
					if r.URL.RawQuery != "q=1" {
						t.Errorf("query %q", r.URL.RawQuery)
					}
				}
				sameRequest(t, append(v.came, other.came...), append(v.body, other.body...))
			})
		}
	}
}

// sameRequest demands that the redirected request is the same as the first one.
func sameRequest(t *testing.T, came []*http.Request, bodies []string) {
	t.Helper()
	for i, r := range came {
		for _, h := range []string{"Content-Type", "Content-Encoding", "X-Prometheus-Remote-Write-Version", "User-Agent", "Retry-Attempt"} {
			if got := r.Header.Get(h); got == "" || got != came[0].Header.Get(h) {
				t.Errorf("request %d has %s: %q", i, h, got)
			}
		}
		if r.Method != http.MethodPost || bodies[i] != bodies[0] {
			t.Errorf("request %d is a %s of %d bytes", i, r.Method, len(bodies[i]))
		}
	}
}

// TestRedirectBack: a request that comes back to the host of the configuration has its credentials again.
func TestRedirectBack(t *testing.T) {
	var v *visits
	other := newVisits(t, func(w http.ResponseWriter, r *http.Request) { redirect(307, v.URL+"/back")(w, r) })
	v = newVisits(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/back" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		redirect(307, other.URL)(w, r)
	})
	a := clientOf(t, v.URL+"/w", "basic_auth: {username: bob, password: secret}\n").post(t.Context(), someRequest(), 0)
	if a.status != 204 || len(v.came) != 2 || len(other.came) != 1 {
		t.Fatalf("%+v after %d and %d requests", a, len(v.came), len(other.came))
	}
	if _, _, ok := v.came[1].BasicAuth(); !ok {
		t.Error("it comes back without credentials")
	}
	if _, _, ok := other.came[0].BasicAuth(); ok {
		t.Error("the other host got credentials")
	}
}

func TestRedirectLoop(t *testing.T) {
	v := newVisits(t, redirect(307, "/w?p=secret"))
	a := clientOf(t, v.URL+"/w?p=secret", "").post(t.Context(), someRequest(), 0)
	if a.status != 0 || a.err == nil || a.err.Error() != "more than 10 redirects" || len(v.came) != maxRedirects {
		t.Errorf("%+v after %d requests", a, len(v.came))
	}
}

// secure makes servers use TLS and ask for a certificate, and returns lines of YAML with one.
func secure(t *testing.T, servers ...*visits) (more string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range servers {
		v.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, ClientAuth: tls.RequestClientCert}
		v.Config.ErrorLog = log.New(io.Discard, "", 0)
		v.StartTLS()
	}
	dir := t.TempDir()
	for name, b := range map[string]*pem.Block{"cert": {Type: "CERTIFICATE", Bytes: der}, "key": {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return fmt.Sprintf("tls_config: {ca_file: %[1]s/cert, cert_file: %[1]s/cert, key_file: %[1]s/key}\n", dir)
}

// TestRedirectWithCertificate: a client certificate is shown to the host of the configuration alone.
func TestRedirectWithCertificate(t *testing.T) {
	other := unstarted(t, status(204))
	v := unstarted(t, nil)
	more := secure(t, v, other)
	v.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.mu.Lock()
		v.came = append(v.came, r)
		v.mu.Unlock()
		redirect(308, other.URL+"/w")(w, r)
	})
	a := clientOf(t, v.URL+"/w", more).post(t.Context(), someRequest(), 0)
	if a.status != 204 || len(v.came) != 1 || len(other.came) != 1 {
		t.Fatalf("%+v after %d and %d requests", a, len(v.came), len(other.came))
	}
	if len(v.came[0].TLS.PeerCertificates) == 0 {
		t.Error("the host itself saw no certificate; the test shows nothing")
	}
	if len(other.came[0].TLS.PeerCertificates) > 0 {
		t.Error("the other host saw the certificate")
	}
}

// TestRedirectFromTLS: an encrypted request never goes on without encryption.
func TestRedirectFromTLS(t *testing.T) {
	other := newVisits(t, status(204))
	v := unstarted(t, redirect(307, other.URL+"/w?p=secret"))
	more := secure(t, v)
	a := clientOf(t, v.URL+"/w", more).post(t.Context(), someRequest(), 0)
	if a.status != 307 || a.location != other.URL+"/w" || len(other.came) > 0 {
		t.Errorf("%+v, %d requests to the other", a, len(other.came))
	}
}

// TestRedirectToAnotherHost: samples go to a host that the configuration names.
func TestRedirectToAnotherHost(t *testing.T) {
	tests := map[string]struct {
		hosts    []string
		followed bool
	}{
		"named":         {[]string{"receiver.example.com", "localhost"}, true},
		"none named":    {nil, false},
		"another named": {[]string{"receiver.example.com"}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			other := newVisits(t, status(204))
			to := strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
			v := newVisits(t, redirect(307, to+"/w"))
			c, err := newClient(dest(t, v.URL, ""), tt.hosts, nil)
			if err != nil {
				t.Fatal(err)
			}
			a := c.post(t.Context(), someRequest(), 0)
			if tt.followed != (a.status == 204) || tt.followed != (len(other.came) == 1) {
				t.Errorf("%+v, and %d requests to the other host", a, len(other.came))
			}
			if want := to + "/w, which is not followed"; !tt.followed && !strings.Contains(fmt.Sprint(a.problem()), want) {
				t.Errorf("%v, want %q in it", a.problem(), want)
			}
		})
	}
}

// TestAnswerRepeatsCredentials: what a receiver or a proxy says is shown without the credentials that it repeats.
func TestAnswerRepeatsCredentials(t *testing.T) {
	for name, cred := range credentials {
		t.Run(name, func(t *testing.T) {
			more := strings.ReplaceAll(cred.more, "secret", "s3cr3t-w0rd")
			if strings.Contains(more, "secrets: ") || name == "headers, auth" {
				more = "http_headers: {X-Other: {secrets: [s3cr3t-w0rd]}}\n"
			}
			v := newVisits(t, func(w http.ResponseWriter, r *http.Request) {
				http.Error(w, fmt.Sprintf("not allowed: %v s3cr3t-w0rd", r.Header), http.StatusForbidden)
			})
			a := clientOf(t, v.URL, more).post(t.Context(), someRequest(), 0)
			if text := fmt.Sprint(a.problem()); strings.Contains(text, "s3cr3t") || strings.Contains(text, "Ym9iOn") || !strings.Contains(text, "not allowed") {
				t.Errorf("%q", text)
			}
		})
	}
}
