package categraf

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// defaultInterval is that of categraf without interval in [global].
const defaultInterval = 15 * time.Second

// mainFile is what config.toml and prometheus.toml say. categraf reads both as one.
type mainFile struct {
	interval     time.Duration
	hostname     string
	hostnameAt   position
	omitHostname bool
	labels       map[string]string // [global.labels]
	labelsAt     position
	vars         vars
	perNode      bool
	kind         string // of the workload; empty if it is not known

	agent      bool   // the embedded Prometheus agent runs
	agentGiven bool   // there is a block [prometheus]
	scrapeFile string // the name of its file
	agentAt    position
}

// blocks are the tables of config.toml and prometheus.toml.
var blocks = []string{"global", "writers", "writer_opt", "prometheus", "log", "logs", "http", "ibex", "heartbeat", "traces", "http_provider"}

func isMain(t *table) bool {
	return slices.ContainsFunc(blocks, func(b string) bool {
		switch t.values[b].(type) {
		case map[string]any, []any:
			return true
		}
		return false
	})
}

// main reads config.toml or prometheus.toml.
func (t *translation) main(m *mainFile, in *table) {
	if g := in.sub("global"); g != nil {
		t.global(m, g)
	}
	for _, w := range in.subs("writers") {
		t.writer(m, w)
	}
	if p := in.sub("prometheus"); p != nil {
		t.agent(m, p)
	}
	for key, text := range map[string]string{
		"writer_opt": "the relay keeps samples on disk; see wal.max_bytes, and queue_config of remote_write",
		"log":        "the relay writes its log to standard error",
	} {
		if in.has(key) {
			t.report.add(in.at(key), key, NoCounterpart, "%s", text)
		}
	}
	for key, text := range map[string]string{
		"logs":          "the relay sends no logs",
		"traces":        "the relay sends no traces",
		"http":          "the relay takes no samples by HTTP",
		"ibex":          "the relay runs no commands on hosts",
		"heartbeat":     "the relay reports no hosts to Nightingale; its list of hosts then shows those alone that still run categraf",
		"http_provider": "the relay takes its configuration from a file",
	} {
		if sub := in.sub(key); sub != nil && (sub.isOn("enable") || !sub.has("enable")) {
			t.report.add(in.at(key), key, NoCounterpart, "%s", text)
		}
	}
	t.unknown(in)
}

func (t *translation) global(m *mainFile, g *table) {
	if d := g.duration("interval"); d > 0 {
		m.interval = d
		t.report.add(g.at("interval"), g.name("interval"), Translated, "scrape_interval of what the plugins read")
	}
	if g.has("hostname") {
		m.hostname, m.hostnameAt = g.str("hostname"), g.at("hostname")
	}
	if g.has("omit_hostname") {
		m.omitHostname = g.isOn("omit_hostname")
		what := "no label agent_hostname"
		if !m.omitHostname {
			what = "the label agent_hostname, see hostname"
		}
		t.report.add(g.at("omit_hostname"), g.name("omit_hostname"), Translated, "%s", what)
	}
	if p := g.str("precision"); p != "" && p != "ms" {
		t.report.add(g.at("precision"), g.name("precision"), NoCounterpart, "timestamps are in milliseconds, not %q", p)
	} else if p != "" {
		t.report.add(g.at("precision"), g.name("precision"), Translated, "timestamps are in milliseconds")
	}
	if g.has("labels") {
		m.labels, m.labelsAt = g.pairs("labels"), g.at("labels")
		delete(m.labels, "")
	}
	for key, text := range map[string]string{
		"print_configs": "the relay shows its configuration on its page /config",
		"concurrency":   "the relay scrapes targets independently of each other",
		"providers":     "the relay takes its configuration from a file",
	} {
		if g.has(key) {
			t.report.add(g.at(key), g.name(key), NoCounterpart, "%s", text)
		}
	}
	t.unknown(g)
}

// agent reads the block of the embedded Prometheus agent.
func (t *translation) agent(m *mainFile, p *table) {
	m.agentGiven, m.agent, m.agentAt = true, p.isOn("enable"), p.at("enable")
	m.scrapeFile = p.str("scrape_config_file")
	if p.has("scrape_config_file") {
		m.agentAt = p.at("scrape_config_file")
	}
	for key, text := range map[string]string{
		"web_address":      "the relay's flag --web.listen-address",
		"log_level":        "the relay's flag --log.level",
		"wal_storage_path": "wal.dir",
		"wal_min_duration": "the relay keeps samples until they are delivered; see wal.max_bytes",
	} {
		if p.has(key) {
			t.report.add(p.at(key), p.name(key), Differs, "%s", text)
		}
	}
	t.unknown(p)
}

// remote is a block of remote_write.
type remote struct {
	URL       string            `yaml:"url"`
	Timeout   string            `yaml:"remote_timeout,omitempty"`
	Headers   map[string]string `yaml:"headers,omitempty"`
	BasicAuth *basicAuth        `yaml:"basic_auth,omitempty"`
	TLS       *tlsConfig        `yaml:"tls_config,omitempty"`
	Rules     []rule            `yaml:"write_relabel_configs,omitempty"`

	written        *yaml.Node // the block of a scrape file, which is taken as it is
	plugins, agent bool       // whose series go there
	at             position
}

// unknownReceiver stands for a receiver whose address is not in the files.
const unknownReceiver = "http://set-your-receiver.invalid/prometheus/v1/write"

func (t *translation) writer(m *mainFile, w *table) {
	text := m.vars.expand(w.str("url"))
	at := w.at("url")
	r := &remote{URL: text.value, plugins: true, at: at}
	if u, err := url.Parse(r.URL); err != nil || u.Host == "" || len(text.unknown) > 0 || text.dynamic() {
		r.URL = unknownReceiver
		t.report.add(at, w.name("url"), NoCounterpart, "%q is not known here; write the address of your receiver into remote_write", w.str("url"))
	} else {
		t.report.add(at, w.name("url"), Translated, "remote_write")
	}
	if user := w.str("basic_auth_user"); user != "" {
		r.BasicAuth = &basicAuth{user, w.str("basic_auth_pass")}
		t.report.add(w.at("basic_auth_user"), w.name("basic_auth_user"), Translated, "basic_auth, with the password as it is here; password_file keeps it out of the ConfigMap")
	}
	w.asked["basic_auth_pass"] = true
	if h := w.strs("headers"); len(h) > 0 {
		r.Headers = map[string]string{}
		for i := 0; i+1 < len(h); i += 2 {
			r.Headers[h[i]] = h[i+1]
		}
		t.report.add(w.at("headers"), w.name("headers"), Translated, "headers of remote_write")
	}
	if ms := w.number("timeout"); ms > 0 {
		r.Timeout = (time.Duration(ms) * time.Millisecond).String()
		t.report.add(w.at("timeout"), w.name("timeout"), Differs, "remote_timeout %s; categraf drops the samples after that, the relay sends them again", r.Timeout)
	}
	r.TLS = t.tls(w)
	for _, key := range []string{"dial_timeout", "max_idle_conns_per_host"} {
		if w.has(key) {
			t.report.add(w.at(key), w.name(key), NoCounterpart, "the relay keeps its connections open, and has one timeout for a request: remote_timeout")
		}
	}
	t.unknown(w)
	t.addRemote(r, at)
}

// addRemote adds a destination, unless there is one with its URL.
func (t *translation) addRemote(r *remote, at position) {
	i := slices.IndexFunc(t.remotes, func(o *remote) bool { return o.URL == r.URL })
	if i < 0 {
		t.remotes = append(t.remotes, r)
		return
	}
	t.report.add(at, "url", Translated, "%s is a destination already; it stays one", r.URL)
	was := t.remotes[i]
	was.plugins, was.agent = was.plugins || r.plugins, was.agent || r.agent
	if was.written == nil && was.BasicAuth == nil && was.Headers == nil && was.TLS == nil { // the block of a scrape file says more
		was.written = r.written
	}
}

// unknown reports the keys that nothing has asked for.
func (t *translation) unknown(in *table) {
	for _, key := range in.unknown() {
		t.report.add(in.at(key), in.name(key), NoCounterpart, "the key is unknown; nothing was made of it")
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func quoted(list []string) string {
	var out []string
	for _, v := range list {
		out = append(out, fmt.Sprintf("%q", v))
	}
	return strings.Join(out, ", ")
}
