package targets

// State is what became of a monitor.
type State string

// The states of monitors.
const (
	Accepted   State = "accepted"
	Pending    State = "pending"      // waits for a Secret or ConfigMap to be read
	Rejected   State = "rejected"     // cannot be compiled
	Unselected State = "not selected" // the configuration does not select it
)

// MonitorStatus is a monitor, or a block of the configuration, with what became of it and its jobs. It is the tree that the page, the
// API and the command line show; each looks up the targets of its jobs by their names.
type MonitorStatus struct {
	Owner  Owner
	State  State
	Reason string // why it is not accepted; empty if it is
	// LastGood says that the monitor is rejected and its jobs are those of its last good version.
	LastGood bool
	Jobs     []JobStatus
	// Why says why an accepted monitor has no targets; empty if it has some.
	Why string
}

// JobStatus is a job with what discovery found for it.
type JobStatus struct {
	Job     *Job
	Count   int // of its targets
	Dropped []Dropped
	// Why says why a job of an accepted monitor has no targets; empty if it has some.
	Why string
	// Notes explain to the user what is not obvious: those of the job, and what follows from other jobs and from objects.
	Notes []string
	// Problems are what keeps the job from finding targets at the moment.
	Problems []string
}

// Dropped is a discovered target that a job does not take, as it is shown.
type Dropped struct {
	Discovered map[string]string
	Reason     string
	// ByPort says that it is not at the port that a field of its monitor names.
	ByPort bool
}
