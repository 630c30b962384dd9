package objects

// EventReason is the reason of an Event on a monitor.
type EventReason string

// The reasons of Events.
const (
	// Invalid is prometheus-operator's reason, so that a search for its Events finds ours.
	Invalid   EventReason = "InvalidConfiguration"
	NoTargets EventReason = "NoTargets"
	Recovered EventReason = "Recovered" // it was invalid, or had no targets
)

// Event is a message to the users of a monitor.
type Event struct {
	Reason EventReason
	Text   string // what is so; it goes on after the monitor's name
	Mend   string // what to change; may be empty
}

// Rejection is the Event of an object that is rejected, in prometheus-operator's words.
func Rejection(reason, mend string) Event {
	return Event{Reason: Invalid, Text: "was rejected due to invalid configuration: " + reason, Mend: mend}
}
