package targets

// Explanation says how far something gets on the way from its object to the receivers: the steps, what each of them found, and the
// first one that is broken. Pages, the API, the command line, Events and lint show it.
type Explanation struct {
	Subject Subject `json:"subject"`
	// Outcome is that of the first step that is not fine, OutcomeOK if all are.
	Outcome Outcome `json:"outcome"`
	// Summary is one sentence: the first broken step, naming the object or field, or how many targets are scraped and delivered.
	Summary string `json:"summary"`
	// Mend is one sentence: what to change. It is empty if nothing is broken.
	Mend  string `json:"mend,omitempty"`
	Steps []Step `json:"steps"`
	// Jobs hold the steps of each job of a monitor, and its targets.
	Jobs []JobExplanation `json:"jobs,omitempty"`
}

// Subject is what an explanation is about.
type Subject struct {
	Kind      string `json:"kind"` // ServiceMonitor, PodMonitor, Probe, ScrapeConfig, Node, Service or Target
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"` // the URL of a Target
}

// Outcome is how a step ended.
type Outcome string

// The outcomes of steps.
const (
	OutcomeOK      Outcome = "ok"
	OutcomeNote    Outcome = "note"    // works, and a person may want to know
	OutcomeWaiting Outcome = "waiting" // not known yet, or not reached because of an earlier step
	OutcomeBroken  Outcome = "broken"
)

// StepName names a step of the way, in the order of the constants.
type StepName string

// The steps.
const (
	StepSelected  StepName = "selected"  // the configuration selects the monitor
	StepAccepted  StepName = "accepted"  // it compiles
	StepObjects   StepName = "objects"   // Services, Pods, Ingresses or Nodes match
	StepEndpoints StepName = "endpoints" // they have slices, addresses and the port
	StepTargets   StepName = "targets"   // relabelling keeps some
	StepScraped   StepName = "scraped"   // they answer
	StepSamples   StepName = "samples"   // limits and metric relabelling let samples pass
	StepDelivered StepName = "delivered" // receivers take them
)

// Step is one step of the way.
type Step struct {
	Name    StepName `json:"name"`
	Outcome Outcome  `json:"outcome"`
	Text    string   `json:"text"`           // what was found, in one sentence
	Mend    string   `json:"mend,omitempty"` // what to change, in one sentence
	// Facts are further findings: the closest object, ports that exist, errors by target.
	Facts []string `json:"facts,omitempty"`
}

// JobExplanation is one job of a monitor with its steps and targets.
type JobExplanation struct {
	Job     string        `json:"job"`
	Steps   []Step        `json:"steps"`
	Targets []TargetTrace `json:"targets,omitempty"` // scraped and dropped ones, broken ones first, up to a bound
	More    int           `json:"more,omitempty"`    // targets that the bound leaves out
}

// TargetTrace is what became of one discovered target.
type TargetTrace struct {
	Discovered map[string]string `json:"discovered"`
	Rules      []RuleTrace       `json:"rules,omitempty"`  // those that changed or dropped it
	Labels     map[string]string `json:"labels,omitempty"` // nil if it is dropped
	URL        string            `json:"url,omitempty"`
	Dropped    string            `json:"dropped,omitempty"` // why; empty if it is scraped
	Health     string            `json:"health,omitempty"`
	Error      string            `json:"error,omitempty"` // of the last scrape
	Mend       string            `json:"mend,omitempty"`
}

// RuleTrace is what one relabel rule did to a target.
type RuleTrace struct {
	Index  int    `json:"index"` // in relabel_configs
	Origin string `json:"origin"`
	// Own says that the monitor's author wrote the rule. Otherwise a field stands for it.
	Own     bool              `json:"own"`
	Rule    string            `json:"rule"` // in one line
	Dropped bool              `json:"dropped,omitempty"`
	Before  map[string]string `json:"before,omitempty"` // labels that it changed
	After   map[string]string `json:"after,omitempty"`  // empty values are removed labels
}
