package redact

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	config_util "github.com/prometheus/common/config"
)

func TestName(t *testing.T) {
	for name, want := range map[string]bool{
		"token": true, "access_token": true, "api-key": true, "X-Api-Key": true, "password": true, "client_secret": true, "sig": true,
		"X-Amz-Signature": true, "Authorization": true, "basic_auth": true, "key": true, "X-Auth-Token": true,
		"module": false, "target": false, "match[]": false, "password_file": false, "token_url": false, "keyspace": false, "X-Scope-OrgID": false,
		"collect[]": false, "": false, "tokenRef": false, "authorization_type": false,
	} {
		if got := Name(name); got != want {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
}

func TestURL(t *testing.T) {
	for raw, want := range map[string]struct{ url, bare string }{
		"http://h:1/metrics":                    {"http://h:1/metrics", "http://h:1/metrics"},
		"http://u:SEKRET@h/a?x=1":               {"http://h/a?x=1", "http://h/a"},
		"http://h/a?token=SEKRET&x=1&sig=":      {"http://h/a?token=<secret>&x=1&sig=<secret>", "http://h/a"},
		"http://h/a?%74oken=SEKRET":             {"http://h/a?%74oken=<secret>", "http://h/a"},
		"http://h/a?%zz=SEKRET":                 {"http://h/a?%zz=<secret>", "http://h/a"},
		"http://h/a?token=SEK=RET#SEKRET":       {"http://h/a?token=<secret>", "http://h/a"},
		"http://h/a%2Fb?":                       {"http://h/a%2Fb", "http://h/a%2Fb"},
		"http://u:SE/KRET@h/write?x=1":          {"...", "..."},
		"http://h:8o/write?token=SEKRET":        {"http://h:8o/write", "http://h:8o/write"},
		"u:SEKRET@h/write":                      {"<secret>", "<secret>"},
		"http://h/a?module=http_2xx&target=b:1": {"http://h/a?module=http_2xx&target=b:1", "http://h/a"},
		"":                                      {"", ""},
	} {
		if got := URL(raw); got != want.url {
			t.Errorf("URL(%s): got %s, want %s", raw, got, want.url)
		}
		if got := BareURL(raw); got != want.bare {
			t.Errorf("BareURL(%s): got %s, want %s", raw, got, want.bare)
		}
	}
}

func TestText(t *testing.T) {
	for text, want := range map[string]string{
		"no URL":                                   "no URL",
		"see https://example.com/a, and so on.":    "see https://example.com/a, and so on.",
		`Get "http://u:SEKRET@h/a?b=c": refused`:   `Get "http://h/a?b=c": refused`,
		`Get "http://h/a?token=SEKRET": refused`:   `Get "http://h/a?token=<secret>": refused`,
		`parse "http://u:SE\"K RET@h": bad`:        `parse "...": bad`,
		`a "sentence with http://u:SEKRET@h" in`:   `a "sentence with http://h" in`,
		`Get "http://h/a?token=<secret>": again`:   `Get "http://h/a?token=<secret>": again`,
		"to http://h/a?token=<secret>, again":      "to http://h/a?token=<secret>, again",
		"to http://u:SEKRET@h/a.":                  "to http://h/a.",
		"proxy 'http://u:SEKRET@h' and http://g:1": "proxy 'http://h' and http://g:1",
	} {
		if got := Text(text); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func TestRedactor(t *testing.T) {
	for name, c := range map[string]struct {
		secrets       []string
		message, want string
	}{
		"none":                      {nil, "a b", "a b"},
		"an empty one":              {[]string{"", "long-one"}, "a long-one", "a <secret>"},
		"one begins another":        {[]string{"abcdefgh", "abcdefghij"}, "abcdefgh abcdefghij", "<secret> <secret>"},
		"the other way round":       {[]string{"abcdefghij", "abcdefgh"}, "abcdefgh abcdefghij", "<secret> <secret>"},
		"one is in another":         {[]string{"cccc", "abcccccdef"}, "abcccccdef cccc", "<secret> <secret>"},
		"one is in what is shown":   {[]string{"x-longer-one", "secret"}, "x-longer-one secret", "<secret> <secret>"},
		"in the middle of a word":   {[]string{"hunter2hunter2"}, "xhunter2hunter2y", "x<secret>y"},
		"a short one as a word":     {[]string{"admin"}, `password "admin" for administrators`, `password "<secret>" for administrators`},
		"a letter in words":         {[]string{"v"}, "must provide a value", "must provide a value"},
		"a letter alone":            {[]string{"a"}, "must provide a value", "must provide a value"},
		"a letter in quotes":        {[]string{"a"}, `a password "a" or user:a@h`, `a password "<secret>" or user:<secret>@h`},
		"escaped":                   {[]string{"a b/c d&e"}, "in a+b%2Fc+d%26e or a%20b%2Fc%20d&e", "in <secret> or <secret>"},
		"quoted":                    {[]string{`say "friend"`}, `it was "say \"friend\""`, `it was "<secret>"`},
		"base64":                    {[]string{"correct horse"}, "got " + base64.StdEncoding.EncodeToString([]byte("correct horse")), "got <secret>"},
		"the mark itself":           {[]string{Mark}, "a <secret>", "a <secret>"},
		"a text with zeros":         {[]string{"abcdefgh"}, "x abcdefgh y", "x <secret> y"},
		"between other characters":  {[]string{"schön"}, "über schön, schönst", "über <secret>, schönst"},
		"a URL and a known secret":  {[]string{"abcdefgh"}, "http://u:p@h/abcdefgh", "http://h/<secret>"},
		"the same one several ways": {[]string{"abcdefgh", "abcdefgh"}, "abcdefghabcdefgh", "<secret><secret>"},
	} {
		if got := New(c.secrets...).Text(c.message); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	if got := (*Redactor)(nil).Text("http://u:p@h"); got != "http://h" {
		t.Errorf("without secrets: %s", got)
	}
}

func TestError(t *testing.T) {
	inner := &url.Error{Op: "Get", URL: "http://u:SEKRET@h/", Err: os.ErrDeadlineExceeded}
	err := New("SEKRET-2").Error(fmt.Errorf("scrape SEKRET-2: %w", inner))
	if text := err.Error(); strings.Contains(text, "SEKRET") || !strings.Contains(text, `"http://h/"`) {
		t.Error(text)
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the cause is lost")
	}
	if plain := errors.New("plain"); New("x").Error(plain) != plain || New().Error(nil) != nil {
		t.Error("an error that is fit to be shown is another one")
	}
}

// TestOf echoes all that a client was given, as a receiver might.
func TestOf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "password")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("SEKRET-file\n")
	proxy, err := url.Parse("http://u:SEKRET-proxy@h")
	if err != nil {
		t.Fatal(err)
	}
	r := Of(&config_util.HTTPClientConfig{
		BasicAuth:     &config_util.BasicAuth{Username: "me", Password: "SEKRET-password", PasswordFile: path},
		Authorization: &config_util.Authorization{Type: "Bearer", Credentials: "SEKRET-bearer"},
		ProxyConfig:   config_util.ProxyConfig{ProxyURL: config_util.URL{URL: proxy}},
		HTTPHeaders:   &config_util.Headers{Headers: map[string]config_util.Header{"X-A": {Secrets: []config_util.Secret{"SEKRET-header"}}}},
		OAuth2:        &config_util.OAuth2{TokenURL: "http://client:SEKRET-oauth@h/token"},
	}, map[string]string{"X-Api-Key": "SEKRET-key", "X-Scope-OrgID": "tenant-number-1"}, url.Values{"token": {"SEKRET-param"}, "module": {"http_2xx_get"}})
	basicAuth := base64.StdEncoding.EncodeToString([]byte("me:SEKRET-password"))
	text := "SEKRET-password SEKRET-bearer SEKRET-proxy SEKRET-header SEKRET-key SEKRET-param SEKRET-file " + basicAuth + " tenant-number-1 http_2xx_get"
	want := strings.Repeat(Mark+" ", 8) + "tenant-number-1 http_2xx_get"
	if got := r.Text(text); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, token := range []string{"u:SEKRET-proxy", "client:SEKRET-oauth", "me:SEKRET-file"} { // which clients make of the user of a URL
		if got := r.Text("Basic " + base64.StdEncoding.EncodeToString([]byte(token))); got != "Basic "+Mark {
			t.Errorf("%s: got %s", token, got)
		}
	}
	write("SEKRET-rotated")
	if got := r.Text("SEKRET-rotated"); got != Mark {
		t.Errorf("after the file has changed: %s", got)
	}
}

func TestParam(t *testing.T) {
	for label, want := range map[string]string{"__param_token": Mark, "__param_module": "v", "token": "v"} {
		if got := Param(label, "v"); got != want {
			t.Errorf("%s: got %s, want %s", label, got, want)
		}
	}
}

// FuzzRedactor looks for what is left of a secret.
func FuzzRedactor(f *testing.F) {
	f.Add("a long-secret b", "long-secret")
	f.Add(`Get "http://u:long-secret@h": x`, "long-secret")
	f.Add("long-seclong-secretret", "long-secret")
	f.Fuzz(func(t *testing.T, text, secret string) {
		if len(secret) < sure || strings.Contains(Mark, secret) {
			return
		}
		got := New(secret).Text(text)
		for _, part := range strings.Split(got, Mark) {
			if strings.Contains(part, secret) {
				t.Errorf("%q is left in %q", secret, got)
			}
		}
	})
}

// TestURLInURL: the secrets of a URL that is the value of a parameter or of a label are not shown.
func TestURLInURL(t *testing.T) {
	for raw, want := range map[string]string{
		"http://prober/probe?target=http%3A%2F%2Feve%3Apw%40front%2F%3Ftoken%3Dabc%26a%3D1&module=m": "http://prober/probe?target=http%3A%2F%2Ffront%2F%3Ftoken%3D%3Csecret%3E%26a%3D1&module=m",
		"http://prober/probe?target=http%3A%2F%2Ffront%2F%3Fa%3D1":                                   "http://prober/probe?target=http%3A%2F%2Ffront%2F%3Fa%3D1",
		"http://prober/probe?target=%zz":                                                             "http://prober/probe?target=%zz",
	} {
		if got := URL(raw); got != want {
			t.Errorf("%s is shown as %s, want %s", raw, got, want)
		}
	}
	for value, want := range map[string]string{"http://eve:pw@front/?key=x": "http://front/?key=" + Mark, "10.0.0.1:80": "10.0.0.1:80", "a://b": "a://b"} {
		if got := Param("__address__", value); got != want {
			t.Errorf("%s is shown as %s, want %s", value, got, want)
		}
	}
}
