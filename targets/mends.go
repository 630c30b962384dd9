package targets

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
)

// mendable is an error of compiling that knows what to change.
type mendable struct {
	error
	mend string // $FIELD stands for the field, with its monitor
}

func (e mendable) Unwrap() error { return e.error }

var exclusive = regexp.MustCompile(`(\w+) and (\w+) cannot be configured at the same time`)

// mendField says what to change in a field of a monitor that has an error.
func mendField(o Owner, err error, known *mendable) string {
	field := o.String()
	if path := fieldPath(err); path != "" {
		field = path + " of " + field
	}
	if known != nil {
		return strings.ReplaceAll(known.mend, "$FIELD", field)
	}
	if m := exclusive.FindStringSubmatch(err.Error()); m != nil {
		return fmt.Sprintf("keep one of %s and %s in %s", m[1], m[2], field)
	}
	if field == o.String() {
		return "correct this in " + field
	}
	return "correct " + field
}

// mendProber says how to write the URL of a prober, which is a host with or without a port.
func mendProber(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return "write host or host:port into $FIELD"
	}
	mend := fmt.Sprintf("write only host and port into $FIELD: %s; the scheme goes into prober.scheme: %s", u.Host, u.Scheme)
	if path := strings.TrimSuffix(u.Path, "/"); path != "" {
		mend += ", and the path into prober.path: " + path
	}
	return mend
}

// mendPEM says what a key of a Secret or ConfigMap must hold in place of text that is not PEM.
func mendPEM(namespace string, from monitoringv1.SecretOrConfigMap, text string) string {
	ref := Ref{Namespace: namespace}
	switch {
	case from.Secret != nil:
		ref.Name, ref.Key = from.Secret.Name, from.Secret.Key
	case from.ConfigMap != nil:
		ref = Ref{ConfigMap: true, Namespace: namespace, Name: from.ConfigMap.Name, Key: from.ConfigMap.Key}
	default:
		return "correct $FIELD"
	}
	mend := fmt.Sprintf("key %s of %s must hold PEM text (-----BEGIN CERTIFICATE-----)", ref.Key, ref.Object())
	if plain, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), "")); err == nil {
		if block, _ := pem.Decode(plain); block != nil {
			return mend + ": its text is PEM in base64, decode it"
		}
	}
	return mend
}

// mendEnded says what to do about a Pod that filterRunning leaves out because it has ended.
func mendEnded(phase corev1.PodPhase, pod, field string) string {
	if phase == corev1.PodFailed {
		return "look why Pod " + pod + " failed; " + field + ": false keeps it as a target, but nothing answers there"
	}
	return "let the Pods push their metrics, or scrape them while they run: a Pod that has ended answers nobody, and " + field + ": false only keeps it as a target"
}

// unknownField matches the sentence about an unknown field.
var unknownField = regexp.MustCompile(`unknown field "([^"]+)"(?:, did you mean "([^"]+)")?`)

// blame adds the unknown fields of a monitor to a finding that they may explain. Only says that nothing else explains it.
func (s *Step) blame(o Owner, unknown []string, only bool) {
	var texts, mends []string
	for _, u := range unknown {
		m := unknownField.FindStringSubmatch(u)
		if m == nil || !only && strings.Contains(m[1], "[") { // what an endpoint has does not keep its objects from being found
			continue
		}
		text, mend := "the field "+m[1]+" is not known", fmt.Sprintf("correct or remove the field %s in %s", m[1], o)
		if m[2] != "" {
			text += ", did you mean " + m[2] + "?"
			mend = fmt.Sprintf("rename %s to %s in %s", m[1], m[2], o)
		}
		texts, mends = append(texts, text), append(mends, mend)
	}
	if len(texts) == 0 {
		return
	}
	s.Text += "; " + UpTo(texts, maxNamed)
	if !only && s.Mend != "" {
		mends = append(mends, s.Mend)
	}
	s.Mend = strings.Join(mends, "; ")
}
