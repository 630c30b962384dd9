package targets

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
)

// Labels of a target that decide how its histograms are read (PopulateDiscoveredLabels of prometheus/scrape).
const (
	convertClassicLabel = "__convert_classic_histograms_to_nhcb__"
	alwaysClassicLabel  = "__always_scrape_classic_histograms__"
	scrapeNativeLabel   = "__scrape_native_histograms__"
)

// UnixSocketLabel is the label with the path of the Unix socket of a target, if it has one.
const UnixSocketLabel = "__unix_socket__"

// Target is one thing to scrape. It is immutable.
type Target struct {
	Job      *Job
	Labels   labels.Labels // after relabelling, including those that begin with "__"
	URL      string
	Hash     uint64 // of labels and URL: its identity within the job, as Prometheus has it
	Interval time.Duration
	Timeout  time.Duration

	group *targetgroup.Group
	index int // of group.Targets
}

// Public returns the labels of the target's series.
func (t *Target) Public() labels.Labels {
	var b labels.ScratchBuilder
	t.Labels.Range(func(l labels.Label) {
		if !strings.HasPrefix(l.Name, model.ReservedLabelPrefix) {
			b.Add(l.Name, l.Value)
		}
	})
	return b.Labels()
}

// Bool returns the value of a label that decides how histograms are read, def if it is not set.
func (t *Target) Bool(name string, def bool) bool {
	if b, err := strconv.ParseBool(t.Labels.Get(name)); err == nil {
		return b
	}
	return def
}

// NativeHistograms says which forms of histograms to read from the target.
func (t *Target) NativeHistograms() (native, alwaysClassic, convert bool) {
	c := t.Job.Config
	return t.Bool(scrapeNativeLabel, c.ScrapeNativeHistogramsEnabled()),
		t.Bool(alwaysClassicLabel, c.AlwaysScrapeClassicHistogramsEnabled()),
		t.Bool(convertClassicLabel, c.ConvertClassicHistogramsToNHCBEnabled())
}

// Discovered returns the labels that the target had before relabelling.
func (t *Target) Discovered() labels.Labels {
	b := labels.NewBuilder(labels.EmptyLabels())
	discovered(b, t.Job.Config, t.group.Targets[t.index], t.group.Labels)
	return b.Labels()
}

// Meta returns a label that discovery gave the target, "" if it gave none. It costs less than Discovered.
func (t *Target) Meta(name string) string {
	if v, ok := t.group.Targets[t.index][model.LabelName(name)]; ok {
		return string(v)
	}
	return string(t.group.Labels[model.LabelName(name)])
}

// discovered sets b to the labels of a target before relabelling (PopulateDiscoveredLabels of prometheus/scrape).
func discovered(b *labels.Builder, cfg *promconfig.ScrapeConfig, own, group model.LabelSet) {
	b.Reset(labels.EmptyLabels())
	for n, v := range own {
		b.Set(string(n), string(v))
	}
	for n, v := range group {
		if _, ok := own[n]; !ok {
			b.Set(string(n), string(v))
		}
	}
	for _, l := range [...]labels.Label{
		{Name: model.JobLabel, Value: cfg.JobName},
		{Name: model.ScrapeIntervalLabel, Value: cfg.ScrapeInterval.String()},
		{Name: model.ScrapeTimeoutLabel, Value: cfg.ScrapeTimeout.String()},
		{Name: model.MetricsPathLabel, Value: cfg.MetricsPath},
		{Name: model.SchemeLabel, Value: cfg.Scheme},
		{Name: convertClassicLabel, Value: strconv.FormatBool(cfg.ConvertClassicHistogramsToNHCBEnabled())},
		{Name: alwaysClassicLabel, Value: strconv.FormatBool(cfg.AlwaysScrapeClassicHistogramsEnabled())},
		{Name: scrapeNativeLabel, Value: strconv.FormatBool(cfg.ScrapeNativeHistogramsEnabled())},
	} {
		if b.Get(l.Name) == "" {
			b.Set(l.Name, l.Value)
		}
	}
	for k, v := range cfg.Params {
		if name := model.ParamLabelPrefix + k; len(v) > 0 && b.Get(name) == "" {
			b.Set(name, v[0])
		}
	}
}

var errNoAddress = errors.New("no address")

// populate relabels the labels that discovered set and returns the result, which is empty if a rule dropped the target (PopulateLabels
// of prometheus/scrape).
func populate(b *labels.Builder, rules []*relabel.Config) (labels.Labels, error) {
	none := labels.EmptyLabels()
	if !relabel.ProcessBuilder(b, rules...) {
		return none, nil
	}
	addr := b.Get(model.AddressLabel)
	if addr == "" {
		return none, errNoAddress
	}
	if err := promconfig.CheckTargetAddress(model.LabelValue(addr)); err != nil {
		return none, err
	}
	interval, err := positive(b, model.ScrapeIntervalLabel, "scrape interval")
	if err != nil {
		return none, err
	}
	timeout, err := positive(b, model.ScrapeTimeoutLabel, "scrape timeout")
	if err != nil {
		return none, err
	}
	if timeout > interval {
		return none, fmt.Errorf("scrape timeout cannot be greater than scrape interval (%q > %q)",
			b.Get(model.ScrapeTimeoutLabel), b.Get(model.ScrapeIntervalLabel))
	}
	for _, name := range [...]string{convertClassicLabel, alwaysClassicLabel, scrapeNativeLabel} {
		if v := b.Get(name); v != "" {
			if _, err := strconv.ParseBool(v); err != nil {
				return none, fmt.Errorf("label %s: %w", name, err)
			}
		}
	}
	b.Range(func(l labels.Label) {
		if strings.HasPrefix(l.Name, model.MetaLabelPrefix) {
			b.Del(l.Name)
		}
	})
	if b.Get(model.InstanceLabel) == "" {
		b.Set(model.InstanceLabel, addr)
	}
	out := b.Labels()
	return out, out.Validate(func(l labels.Label) error {
		if !model.LabelValue(l.Value).IsValid() {
			return fmt.Errorf("label %s has value %q, which is not UTF-8", l.Name, l.Value)
		}
		return nil
	})
}

func positive(b *labels.Builder, label, what string) (model.Duration, error) {
	d, err := model.ParseDuration(b.Get(label))
	if err != nil {
		return 0, fmt.Errorf("parse %s: %w", what, err)
	}
	if d == 0 {
		return 0, fmt.Errorf("%s cannot be 0", what)
	}
	return d, nil
}

// newTarget makes a target from the labels that populate returned.
func newTarget(job *Job, ls labels.Labels, group *targetgroup.Group, index int) *Target {
	interval, _ := model.ParseDuration(ls.Get(model.ScrapeIntervalLabel))
	timeout, _ := model.ParseDuration(ls.Get(model.ScrapeTimeoutLabel))
	t := &Target{
		Job: job, Labels: ls, URL: targetURL(ls, job.Config.Params), group: group, index: index,
		Interval: time.Duration(interval), Timeout: time.Duration(timeout),
	}
	t.Hash = identity(ls, t.URL)
	return t
}

func identity(ls labels.Labels, url string) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%016d%s", ls.Hash(), url)
	return h.Sum64()
}

// Timeless is the Hash without interval and timeout.
func (t *Target) Timeless() uint64 {
	b := labels.NewBuilder(t.Labels)
	b.Del(model.ScrapeIntervalLabel, model.ScrapeTimeoutLabel)
	return identity(b.Labels(), t.URL)
}

func targetURL(ls labels.Labels, configured url.Values) string {
	params := url.Values{}
	for k, v := range configured {
		params[k] = append([]string(nil), v...)
	}
	ls.Range(func(l labels.Label) {
		k, ok := strings.CutPrefix(l.Name, model.ParamLabelPrefix)
		switch {
		case !ok:
		case len(params[k]) > 0:
			params[k][0] = l.Value
		default:
			params[k] = []string{l.Value}
		}
	})
	host := ls.Get(model.AddressLabel)
	if host == "" && ls.Get(UnixSocketLabel) != "" {
		host = "localhost"
	}
	u := url.URL{Scheme: ls.Get(model.SchemeLabel), Host: host, Path: ls.Get(model.MetricsPathLabel), RawQuery: params.Encode()}
	return u.String()
}

// FromGroup makes targets from a group, without those that the job's rules drop. The error joins the errors of invalid targets.
func FromGroup(job *Job, group *targetgroup.Group) (out []*Target, err error) {
	b := labels.NewBuilder(labels.EmptyLabels())
	var errs []error
	for i, own := range group.Targets {
		discovered(b, job.Config, own, group.Labels)
		ls, err := populate(b, job.Config.RelabelConfigs)
		if err != nil {
			errs = append(errs, fmt.Errorf("target %d of %s: %w", i, group.Source, err))
		} else if !ls.IsEmpty() {
			out = append(out, newTarget(job, ls, group, i))
		}
	}
	return out, errors.Join(errs...)
}
