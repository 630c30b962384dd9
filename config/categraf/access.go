package categraf

import (
	"reflect"
	"strings"
)

// serviceAccount is where a pod has its token.
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/"

// access is how a page is reached, as Prometheus writes it.
type access struct {
	Authorization *authorization        `yaml:"authorization,omitempty"`
	BasicAuth     *basicAuth            `yaml:"basic_auth,omitempty"`
	TLS           *tlsConfig            `yaml:"tls_config,omitempty"`
	Headers       map[string]headerText `yaml:"http_headers,omitempty"`
}

type authorization struct {
	Credentials     string `yaml:"credentials,omitempty"`
	CredentialsFile string `yaml:"credentials_file,omitempty"`
}

type basicAuth struct {
	Username string `yaml:"username"`
	Password string `yaml:"password"`
}

type headerText struct {
	Values []string `yaml:"values,flow"`
}

type tlsConfig struct {
	CAFile             string `yaml:"ca_file,omitempty"`
	CertFile           string `yaml:"cert_file,omitempty"`
	KeyFile            string `yaml:"key_file,omitempty"`
	ServerName         string `yaml:"server_name,omitempty"`
	MinVersion         string `yaml:"min_version,omitempty"`
	MaxVersion         string `yaml:"max_version,omitempty"`
	InsecureSkipVerify bool   `yaml:"insecure_skip_verify,omitempty"`
}

func (a access) equal(o access) bool { return reflect.DeepEqual(a, o) }

// access reads how an instance reaches its pages.
func (t *translation) access(in *table) (a access) {
	if user := in.str("username"); user != "" {
		a.BasicAuth = &basicAuth{user, in.str("password")}
		t.report.add(in.at("username"), in.name("username"), Translated, "basic_auth, with the password as it is here; password_file keeps it out of the ConfigMap")
	}
	in.asked["password"] = true
	if file := in.str("bearer_token_file"); file != "" {
		if strings.HasPrefix(file, "/run/") { // the same directory, by its other name
			file = "/var" + file
		}
		a.Authorization = &authorization{CredentialsFile: file}
		what := "the relay's service account has this token; its role needs get on nodes/metrics"
		if file != serviceAccount+"token" {
			what = "mount this file into the relay's pod"
		}
		t.report.add(in.at("bearer_token_file"), in.name("bearer_token_file"), Translated, "%s", what)
	} else if token := in.str("bearer_token_string"); token != "" {
		a.Authorization = &authorization{Credentials: token}
		t.report.add(in.at("bearer_token_string"), in.name("bearer_token_string"), Translated, "authorization, with the token as it is here; credentials_file keeps it out of the ConfigMap")
	}
	if a.Authorization != nil && a.BasicAuth != nil { // categraf sets the token last
		a.BasicAuth = nil
		t.report.add(in.at("username"), in.name("username"), NoCounterpart, "the token takes precedence, as in categraf")
	}
	if h := in.strs("headers"); len(h) > 0 {
		a.Headers = map[string]headerText{}
		for i := 0; i+1 < len(h); i += 2 {
			a.Headers[h[i]] = headerText{[]string{h[i+1]}}
		}
		t.report.add(in.at("headers"), in.name("headers"), Translated, "http_headers")
	}
	a.TLS = t.tls(in)
	return a
}

// tls reads the keys of TLS; nil if there are none.
func (t *translation) tls(in *table) *tlsConfig {
	versions := map[string]string{"1.0": "TLS10", "1.1": "TLS11", "1.2": "TLS12", "1.3": "TLS13"}
	c := tlsConfig{
		CAFile: in.str("tls_ca"), CertFile: in.str("tls_cert"), KeyFile: in.str("tls_key"), ServerName: in.str("tls_server_name"),
		MinVersion: versions[in.str("tls_min_version")], MaxVersion: versions[in.str("tls_max_version")], InsecureSkipVerify: in.isOn("insecure_skip_verify"),
	}
	for _, key := range []string{"tls_ca", "tls_cert", "tls_key"} {
		if in.has(key) {
			t.report.add(in.at(key), in.name(key), Translated, "tls_config; mount this file into the relay's pod")
		}
	}
	for _, key := range []string{"tls_key_pwd", "tls_cipher_suites"} {
		if in.has(key) {
			t.report.add(in.at(key), in.name(key), NoCounterpart, "tls_config has no such key")
		}
	}
	if off := in.has("use_tls") && !in.isOn("use_tls"); off || c == (tlsConfig{}) {
		return nil
	}
	return &c
}
