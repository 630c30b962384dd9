package config

import (
	"net"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/units"
	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"go.yaml.in/yaml/v3"
	"golang.org/x/net/http/httpguts"

	"promrelay/config/redact"
)

var (
	sizeType        = reflect.TypeFor[units.Base2Bytes]()
	urlType         = reflect.TypeFor[config_util.URL]()
	headersType     = reflect.TypeFor[config_util.Headers]()
	remoteWriteType = reflect.TypeFor[promconfig.RemoteWriteConfig]()
	scrapeType      = reflect.TypeFor[promconfig.ScrapeConfig]()
)

// look finds values that their type accepts but that can never work. It also notes the names of files. It returns true, because its
// findings are no reason to stop the walk.
func (w *walker) look(n *yaml.Node, t reflect.Type, at place) bool {
	switch {
	case t == urlType || t.Kind() == reflect.String && (at.key == "token_url" || at.key == "tokenUrl"):
		w.url(n, at)
	case t == headersType:
		w.headers(n, at)
	case t == remoteWriteType:
		w.headers(find(n, "headers"), at.under("headers"))
	case t == scrapeType:
		w.job(n, at)
	case at.key == "port" && t.Kind() == reflect.Int && !strings.HasPrefix(at.text, "nodes."):
		if port, err := strconv.Atoi(n.Value); err == nil && (port < 0 || port > 65535) {
			w.finding(n, "%s: %d: want a port, 0 to 65535", at.text, port)
		}
	case at.key == "remote_timeout":
		if d, err := model.ParseDuration(n.Value); err == nil && d == 0 {
			w.finding(n, "%s: %s: want more than 0s, or no request ends in time; leave it out for 30s", at.text, n.Value)
		}
	case t.Kind() == reflect.String && n.Value != "":
		w.noteFile(n, at)
		w.variable(n, at)
	}
	return true
}

// variable matches a value that consists of one environment variable. Names of capture groups are mostly numbers.
var variable = regexp.MustCompile(`^\$(\{[A-Za-z_]\w*\}|[A-Z_][A-Z0-9_]*)$`)

// variable warns of a variable in a place where variables are not expanded. It does not show the value, which may be a secret.
func (w *walker) variable(n *yaml.Node, at place) {
	labels := strings.HasPrefix(at.text, "global.external_labels.") || strings.HasPrefix(at.text, "monitors.externalLabels.")
	if labels || at.key == "replacement" || !variable.MatchString(n.Value) {
		return
	}
	w.doubts = append(w.doubts, Problem{
		File: w.file, Line: n.Line,
		Text: at.text + ": it looks like a variable of the environment, and is used as it is: variables are expanded in external_labels only; for a secret use the key that names a file",
	})
}

func (w *walker) url(n *yaml.Node, at place) {
	u, err := url.Parse(n.Value)
	if err != nil || n.Value == "" {
		return // the type refuses a URL that does not parse, and an empty one means none
	}
	schemes := []string{"http", "https"}
	want := "http:// or https://"
	if strings.HasPrefix(at.key, "proxy") {
		schemes, want = append(schemes, "socks5", "socks5h"), want+" or socks5://"
	}
	switch {
	case !slices.Contains(schemes, u.Scheme) || u.Hostname() == "":
		w.finding(n, "%s: %q: a URL must begin with %s and name a host", at.text, redact.BareURL(n.Value), want)
	case badPort(u.Port()):
		w.finding(n, "%s: %q: %s is no port, want 1 to 65535", at.text, redact.BareURL(n.Value), u.Port())
	}
}

// badPort reports whether a port is given and is not 1 to 65535.
func badPort(port string) bool {
	if port == "" {
		return false
	}
	n, err := strconv.Atoi(port)
	return err != nil || n < 1 || n > 65535
}

// headers finds names and values that HTTP does not allow, with which net/http would refuse each request. Values may be secret.
func (w *walker) headers(n *yaml.Node, at place) {
	if n = resolved(n); n == nil || n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i]
		if !httpguts.ValidHeaderFieldName(name.Value) {
			w.finding(name, "%s: %q is no name of a header: want letters, digits and -", at.text, name.Value)
		}
		for _, v := range scalars(n.Content[i+1]) {
			if !httpguts.ValidHeaderFieldValue(v.Value) {
				w.finding(v, "%s.%s: the value has a character in it that no header may have, such as the end of a line", at.text, name.Value)
			}
		}
	}
}

// scalars returns the scalars within a node, without keys.
func scalars(n *yaml.Node) (out []*yaml.Node) {
	n = resolved(n)
	if n.Kind == yaml.ScalarNode {
		return []*yaml.Node{n}
	}
	for i, c := range n.Content {
		if n.Kind != yaml.MappingNode || i%2 == 1 {
			out = append(out, scalars(c)...)
		}
	}
	return out
}

// addresses checks the static targets of a job as Prometheus's loader does. It returns false if one is not an address.
func (w *walker) addresses(n *yaml.Node, at place) bool {
	good := true
	for _, target := range staticTargets(n) {
		if promconfig.CheckTargetAddress(model.LabelValue(target.Value)) != nil {
			good = w.mistake(target, "%s: %q: want host:port; the scheme and the path have keys of their own, scheme and metrics_path", at.text, target.Value)
		}
	}
	return good
}

// staticTargets returns the targets in static_configs of a job.
func staticTargets(job *yaml.Node) (out []*yaml.Node) {
	groups := resolved(find(job, "static_configs"))
	if groups == nil {
		return nil
	}
	for _, group := range groups.Content {
		if targets := resolved(find(resolved(group), "targets")); targets != nil {
			for _, target := range targets.Content {
				out = append(out, resolved(target))
			}
		}
	}
	return out
}

// job checks the parts of the URLs of a job's targets, unless relabelling may change them.
func (w *walker) job(n *yaml.Node, at place) {
	if rules := find(n, "relabel_configs"); rules != nil && len(rules.Content) > 0 {
		return
	}
	if scheme := find(n, "scheme"); scheme != nil && scheme.Value != "" && scheme.Value != "http" && scheme.Value != "https" {
		w.finding(scheme, "%s: %q: want http or https", at.under("scheme").text, scheme.Value)
	}
	for _, target := range staticTargets(n) {
		if _, port, err := net.SplitHostPort(target.Value); err == nil && badPort(port) {
			w.finding(target, "%s: target %q: %q is no port, want 1 to 65535", at.under("static_configs").text, target.Value, port)
		}
	}
}
