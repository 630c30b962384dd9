package targets

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
	// Why says why an accepted monitor has no targets; empty if it has some.
	Why string
}

// JobStatus is a job with the results of its discovery.
type JobStatus struct {
	Job     *Job
	Count   int // of its targets
	Dropped []Dropped
	// Why says why a job of an accepted monitor has no targets; empty if it has some.
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
}
