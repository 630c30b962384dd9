package targets

import (
	"strings"

	"github.com/prometheus/prometheus/model/labels"

	"promrelay/config/redact"
)

// Redact returns the message as one line, without the secrets.
func Redact(message string, secrets []string) string {
	return strings.Join(strings.Fields(redact.New(secrets...).Text(message)), " ")
}

// ShownURL is the URL without the values of parameters whose names suggest secrets.
func (t *Target) ShownURL() string { return redact.URL(t.URL) }

// ShownLabels returns labels without the values of parameters whose names suggest secrets.
func ShownLabels(ls labels.Labels) labels.Labels {
	b := labels.NewBuilder(ls)
	b.Range(func(l labels.Label) { b.Set(l.Name, redact.Param(l.Name, l.Value)) })
	return b.Labels()
}

// ShownError is the text of an error of a scrape without the credentials that were sent to the target, in any form in which they
// come back.
func (t *Target) ShownError(err error) string {
	return redact.Of(t.Job.Config.HTTPClientConfig, t.Job.Config.Params).Text(err.Error())
}
