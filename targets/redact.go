package targets

import (
	"strings"

	"github.com/prometheus/prometheus/model/labels"

	"promrelay/config/redact"
)

// Redact makes one line of a message that is fit to be shown, and takes secrets out of it.
func Redact(message string, secrets []string) string {
	return strings.Join(strings.Fields(redact.New(secrets...).Text(message)), " ")
}

// ShownURL is the URL as it may be shown: without the values of parameters whose names speak of secrets.
func (t *Target) ShownURL() string { return redact.URL(t.URL) }

// ShownLabels are labels of before relabelling as they may be shown: without the values of parameters whose names speak of secrets.
func ShownLabels(ls labels.Labels) labels.Labels {
	b := labels.NewBuilder(ls)
	b.Range(func(l labels.Label) { b.Set(l.Name, redact.Param(l.Name, l.Value)) })
	return b.Labels()
}

// ShownError is the text of an error of a scrape as it may be shown: without the credentials that the target was sent, in whatever form it
// sends them back.
func (t *Target) ShownError(err error) string {
	return redact.Of(t.Job.Config.HTTPClientConfig, t.Job.Config.Params).Text(err.Error())
}
