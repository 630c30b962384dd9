package lint

// Severity is how much a finding matters.
type Severity string

// The severities. An Error keeps a monitor, or a part of it, from working. A Warning is most likely a mistake. A Note is something that
// the files alone do not tell.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Note    Severity = "note"
)

func (s Severity) weight() int {
	return map[Severity]int{Note: 1, Warning: 2, Error: 3}[s]
}

// Finding is one thing to look at.
type Finding struct {
	Rule     string   `json:"rule"` // id of the Rule
	Severity Severity `json:"severity"`
	Path     string   `json:"file,omitempty"` // empty if it is about no file
	Line     int      `json:"line,omitempty"` // 0 if it is not known
	Object   string   `json:"object,omitempty"`
	Message  string   `json:"message"`
	Mend     string   `json:"mend,omitempty"` // what to change
}

// Rule is a kind of finding. Its ID never changes.
type Rule struct {
	ID   string
	Help string // what it finds, in one sentence
}

// The rules about monitors. Those about files are in fileRules.
var (
	Rejected        = Rule{"rejected", "A monitor that the relay does not accept."}
	NotSelected     = Rule{"not-selected", "A monitor that the configuration does not select."}
	NoSuchPort      = Rule{"no-such-port", "A monitor selects objects, and none of their ports is the one that it names."}
	TargetPort      = Rule{"target-port", "A Service names a port of its Pods that no container declares."}
	DropsAll        = Rule{"drops-all", "The rules of a monitor drop all of its targets."}
	DropsAllSamples = Rule{"drops-all-samples", "A rule of a monitor drops all samples."}
	Duplicate       = Rule{"duplicate-scrape", "Two monitors, or two endpoints of one, scrape the same page."}
	NoMatch         = Rule{"no-match", "A monitor selects none of the objects."}
	NoEndpoints     = Rule{"no-endpoints", "A monitor selects objects that give no targets."}
	NotChecked      = Rule{"not-checked", "Something that the files do not tell."}
	Remark          = Rule{"remark", "Something about a monitor that is not obvious."}
	NoMonitors      = Rule{"no-monitors", "The files hold no monitor."}
)
