package receiver

import (
	"net/http"
	"strconv"
)

// Refusal is an item that was refused.
type Refusal struct {
	Item
	Verdict
}

// Outcome is what became of a request that no gate answered.
type Outcome struct {
	Version  int
	Sent     Counts
	Stored   Counts    // for the first time
	Repeated Counts    // stored already, bit by bit the same, and taken again
	Refused  []Refusal // those that are told of
	Silent   Counts    // dropped without a word
}

// has tells whether something was refused for one of the reasons.
func (o Outcome) has(reasons ...Reason) bool {
	for _, f := range o.Refused {
		for _, r := range reasons {
			if f.Reason == r {
				return true
			}
		}
	}
	return false
}

// Telling makes an answer of an outcome.
type Telling func(Outcome) *Answer

// Written is what the three headers of 2.0 claim.
type Written int

// What the headers may claim.
const (
	Right  Written = iota // what was taken, repeated ones included
	Fresh                 // what was not there before
	Zero                  // nothing
	All                   // everything that was sent
	Absent                // there are no headers
)

// Tell answers with a status, with the headers if the request is of 2.0, and with a text, which may be nil.
func Tell(status int, w Written, text func(Outcome) string) Telling {
	return func(o Outcome) *Answer {
		a := plain(status, "")
		if text != nil {
			a = plain(status, text(o))
		}
		if o.Version == 2 {
			a.written(w, o)
		}
		return a
	}
}

// written sets the headers.
func (a *Answer) written(w Written, o Outcome) {
	var n Counts
	switch w {
	case Right:
		n = o.Stored
		for k := range n {
			n[k] += o.Repeated[k] + o.Silent[k]
		}
	case Fresh:
		n = o.Stored
	case All:
		n = o.Sent
	case Absent:
		return
	}
	for k, name := range [...]string{"Samples", "Histograms", "Exemplars"} {
		a.set("X-Prometheus-Remote-Write-"+name+"-Written", strconv.Itoa(n[k]))
	}
}

// says is a text that is always the same.
func says(text string) func(Outcome) string { return func(Outcome) string { return text } }

func (p Profile) tell(o Outcome) *Answer {
	t := p.Taken
	if t == nil {
		t = Tell(http.StatusNoContent, Right, nil)
	}
	if len(o.Refused) > 0 {
		if t = p.Refused; t == nil {
			t = Tell(http.StatusBadRequest, Right, plainText)
		}
	}
	return t(o)
}
