package targets

import "time"

// State says whether a monitor is in use, and if not, why.
type State string

// The states of monitors.
const (
	Accepted   State = "accepted"
	Pending    State = "pending"      // waits for a Secret or ConfigMap to be read
	Rejected   State = "rejected"     // cannot be compiled
	Unselected State = "not selected" // the configuration does not select it
)

// MonitorStatus is the state of a monitor, or of a block of the configuration, with its jobs. It is the tree that the page, the API
// and the command line show. Each of these looks up the targets of the jobs by the jobs' names.
type MonitorStatus struct {
	Owner  Owner
	State  State
	Reason string // why it is not accepted; empty if it is
	// LastGood says that the monitor is rejected and its jobs are those of its last good version.
	LastGood bool
	Jobs     []JobStatus
	// Unknown are sentences about its unknown fields.
	Unknown []string
	// Why says why an accepted monitor has no targets, and Mend what to change; both are empty if it has some. Of a monitor that is
	// not accepted Reason says why, and Mend what to change.
	Why  string
	Mend string
}

// JobStatus is a job with the results of its discovery.
type JobStatus struct {
	Job     *Job
	Count   int // of its targets
	Dropped []Dropped
	// Elsewhere is how many targets relays in node mode scrape.
	Elsewhere int
	// Nothing says why a job of an accepted monitor has no targets: its Text is Why. It is zero if the job has some.
	Nothing Step
	// Why is the Text of Nothing.
	Why string
	// Notes explain to the user what is not obvious. They are the notes of the job, and notes about other jobs and about objects.
	Notes []string
	// Problems keep the job from finding targets at the moment.
	Problems []string
}

// Dropped is a discovered target that a job does not scrape, in the form in which it is shown.
type Dropped struct {
	Discovered map[string]string
	Reason     string
	// ByPort says that it is not at the port that a field of its monitor names.
	ByPort bool
	// Rule is the index of the rule that dropped it, -1 if none did, and Origin the field that the rule comes from.
	Rule   int
	Origin Origin
	// Yielded says that it is left to another job or Node on purpose.
	Yielded bool
	// NeverSet says why its rule reads a label that no target of the job has; it is zero if it reads none.
	NeverSet NeverSet
}

// WatchState says whether the changes of a kind of objects arrive, and if not, why.
type WatchState string

// The states of watches.
const (
	Watched          WatchState = "watched"
	WatchListing     WatchState = "listing"       // its objects are read for the first time
	WatchInterrupted WatchState = "interrupted"   // changes do not arrive at the moment; known objects stay
	WatchRefused     WatchState = "refused"       // the relay may not list and watch it
	WatchAbsent      WatchState = "not installed" // its CRD is missing; it is watched as soon as that is there
	WatchOff         WatchState = "off"           // the configuration rules it out
	WatchUnneeded    WatchState = "not needed"    // no monitor and no job needs it
)

// Watch is the state of a kind of objects that the relay may watch.
type Watch struct {
	Resource string // plural, such as "services"
	Group    string // of the API; empty for the core one
	State    WatchState
	Reason   string    // why it is not watched, or why changes do not arrive; empty if all is well
	Objects  int       // that are known
	Watches  int       // one for the cluster, or one for each namespace that the relay is confined to
	Since    time.Time // when it came into this state
}
