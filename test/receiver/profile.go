package receiver

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Profile is what a receiver does. The zero value takes everything by both versions, with the headers of 2.0, and answers 204.
type Profile struct {
	Name     string
	Wire     []Gate // before the body is read
	Slow     time.Duration
	Faults   []Gate
	Versions []Gate
	Limits   []Gate
	Rules    []Rule
	Atomic   func(version int) bool // nil: never
	Taken    Telling                // nil: 204, Written right
	Refused  Telling                // nil: 400, Written right
	After    []After
}

// Gate may answer a request. Nothing of the request is stored then.
type Gate struct {
	Name string
	Ask  func(*Request) *Answer // nil: the next gate is asked
}

// After changes an answer on its way back, or loses it.
type After struct {
	Name string
	Do   func(*Request, *Answer)
}

// Rule is a verdict about one item. The first rule that refuses it is the one that counts.
type Rule struct {
	Name  string
	Judge func(*View, Item) Verdict
}

// Verdict is what a rule says; the zero value takes the item, as far as this rule is concerned.
type Verdict struct {
	Reason Reason // empty: not refused
	Text   string // what a receiver would say of it, beyond the reason
	Silent bool   // nothing is said of it: the answer is as if it had been taken
}

// Part is something that With adds to a profile.
type Part func(*Profile)

// With returns the profile with more parts. What a part adds to a list of gates or rules is asked before what is there.
func (p Profile) With(parts ...Part) Profile {
	p.Wire, p.Faults, p.Versions = slices.Clone(p.Wire), slices.Clone(p.Faults), slices.Clone(p.Versions)
	p.Limits, p.Rules, p.After = slices.Clone(p.Limits), slices.Clone(p.Rules), slices.Clone(p.After)
	for _, part := range parts {
		part(&p)
	}
	return p
}

// OnWire adds gates that are asked before the body is read.
func OnWire(g ...Gate) Part { return func(p *Profile) { p.Wire = slices.Concat(g, p.Wire) } }

// Fault adds gates that are asked first after the body was read.
func Fault(g ...Gate) Part { return func(p *Profile) { p.Faults = slices.Concat(g, p.Faults) } }

// Version adds gates for messages that are not understood.
func Version(g ...Gate) Part { return func(p *Profile) { p.Versions = slices.Concat(g, p.Versions) } }

// Limit adds gates for size and rate.
func Limit(g ...Gate) Part { return func(p *Profile) { p.Limits = slices.Concat(g, p.Limits) } }

// Accept adds rules.
func Accept(r ...Rule) Part { return func(p *Profile) { p.Rules = slices.Concat(r, p.Rules) } }

// Back adds what happens to answers.
func Back(a ...After) Part { return func(p *Profile) { p.After = slices.Concat(p.After, a) } }

// Slowly makes the receiver wait before it looks at a request.
func Slowly(d time.Duration) Part { return func(p *Profile) { p.Slow = d } }

// Atomically makes the receiver store nothing of a request of which it refuses something.
func Atomically() Part { return func(p *Profile) { p.Atomic = func(int) bool { return true } } }

// RefusedBy sets the answer to requests of which something was refused.
func RefusedBy(t Telling) Part { return func(p *Profile) { p.Refused = t } }

// TakenBy sets the answer to requests of which nothing was refused.
func TakenBy(t Telling) Part { return func(p *Profile) { p.Taken = t } }

// Named gives the profile another name.
func Named(name string) Part { return func(p *Profile) { p.Name = name } }

// String names the profile and its parts.
func (p Profile) String() string {
	parts := []string{p.Name}
	gates := func(what string, list []Gate) {
		for _, g := range list {
			parts = append(parts, what+g.Name)
		}
	}
	gates("", p.Wire)
	if p.Slow > 0 {
		parts = append(parts, fmt.Sprintf("slow %s", p.Slow))
	}
	gates("", p.Faults)
	gates("version: ", p.Versions)
	gates("limit: ", p.Limits)
	for _, r := range p.Rules {
		parts = append(parts, "rule: "+r.Name)
	}
	if p.Atomic != nil {
		parts = append(parts, map[[2]bool]string{
			{true, true}: "atomic", {true, false}: "atomic by 1.0", {false, true}: "atomic by 2.0", {}: "never atomic",
		}[[2]bool{p.Atomic(1), p.Atomic(2)}])
	}
	for _, a := range p.After {
		parts = append(parts, "after: "+a.Name)
	}
	return strings.Join(parts, "; ")
}

// Fate is what becomes of an answer.
type Fate int

// The fates.
const (
	Arrives   Fate = iota
	Lost           // the connection ends before the answer
	NoConnect      // there was no connection at all
)

// Answer is what a receiver answers.
type Answer struct {
	Status int
	Text   string // of the body
	Header http.Header
	Wait   time.Duration // before it leaves; negative: until Set, then it is lost
	Fate   Fate

	gate string // the name of the gate it comes from
}

// set adds a header.
func (a *Answer) set(name, value string) *Answer {
	if a.Header == nil {
		a.Header = http.Header{}
	}
	a.Header.Set(name, value)
	return a
}

// plain is an answer as http.Error gives it.
func plain(status int, text string) *Answer {
	a := &Answer{Status: status}
	if text != "" {
		a.Text = text + "\n"
		a.set("Content-Type", "text/plain; charset=utf-8").set("X-Content-Type-Options", "nosniff")
	}
	return a
}

// Cond narrows a gate or an After to some requests.
type Cond struct {
	Name string
	Is   func(*Request) bool
}

// When asks the gate only where all conditions hold; a condition is asked only where those before it hold.
func (g Gate) When(conds ...Cond) Gate {
	for _, c := range slices.Backward(conds) {
		ask := g.Ask
		g = Gate{g.Name + " " + c.Name, func(q *Request) *Answer {
			if !c.Is(q) {
				return nil
			}
			return ask(q)
		}}
	}
	return g
}

// When does it only where all conditions hold.
func (a After) When(conds ...Cond) After {
	for _, c := range slices.Backward(conds) {
		do := a.Do
		a = After{a.Name + " " + c.Name, func(q *Request, answer *Answer) {
			if c.Is(q) {
				do(q, answer)
			}
		}}
	}
	return a
}
