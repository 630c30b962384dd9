package receiver

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// Draw makes a schedule: up to eight phases of one to fifteen seconds, in each of which up to three things go wrong and in some of
// which the receiver is another one than in the end (a rollout), and the phase in which it is well. The same numbers make the same schedule.
func Draw(rng *rand.Rand) Schedule {
	d := dice{Rand: rng, old: rng.IntN(2) == 0}
	bad := d.bad()
	end := d.kind(bad)
	s := Schedule{wants: func(series string) bool { return !bad.is(series) }}
	at := time.Duration(0)
	for range 1 + d.IntN(8) {
		k := end
		if d.chance(0.25) {
			k = d.kind(bad)
		}
		s.Phases = append(s.Phases, Phase{at, d.troubled(k.profile())})
		at += time.Second + d.upTo(14*time.Second)
	}
	p := end.profile()
	if d.chance(0.3) {
		p = p.With(Back(Latency(d.upTo(300 * time.Millisecond))))
	}
	if d.chance(0.2) {
		p = p.With(Limit(d.tooLarge(50)))
	}
	s.Phases = append(s.Phases, Phase{at, p.With(Named("well: " + p.Name))})
	return s
}

// dice draws.
type dice struct {
	*rand.Rand
	old bool // none of the schedule's receivers understands 2.0
}

func (d dice) chance(p float64) bool { return d.Float64() < p }

func (d dice) upTo(most time.Duration) time.Duration {
	return time.Duration(d.Int64N(int64(most/time.Millisecond)+1)) * time.Millisecond
}

func (d dice) status(codes ...int) int { return codes[d.IntN(len(codes))] }

// set is some of all series, the same ones each time.
type set struct {
	permille uint32
	salt     uint32
}

func (s set) is(series string) bool {
	h := fnv.New32a()
	_, _ = fmt.Fprintf(h, "%d %s", s.salt, series)
	return h.Sum32()%1000 < s.permille
}

func (s set) String() string { return fmt.Sprintf("bad series %.1f%%", float64(s.permille)/10) }

func (d dice) some(permille int) set { return set{uint32(1 + d.IntN(permille)), d.Uint32()} }

// bad are the series that are never wanted: none in two of five schedules.
func (d dice) bad() set {
	if d.chance(0.4) {
		return set{}
	}
	return d.some(100)
}

// kind is a receiver without faults. Each profile that it makes has a state of its own.
type kind struct {
	name     string
	parts    []func() Part
	refusing set
}

func (k kind) profile() Profile {
	p := Profile{Name: strings.TrimPrefix(k.name, ", ")}
	if k.refusing.permille > 0 {
		p = p.With(Accept(Bad(k.refusing.String(), k.refusing.is)))
	}
	for _, part := range k.parts {
		p = p.With(part())
	}
	return p
}

// kind draws versions, order, what becomes of the rest of a refused request, and how it is told. Headers that claim all after
// nothing was stored are left out: nobody could know.
func (d dice) kind(bad set) kind {
	k := kind{refusing: bad}
	add := func(name string, p func() Part) {
		k.parts = append(k.parts, p)
		if name != "" {
			k.name += ", " + name
		}
	}
	d.versions(add)
	switch d.IntN(4) {
	case 0:
	case 1:
		w := 10*time.Second + d.upTo(5*time.Minute)
		add("", func() Part { return Accept(Window(w)) })
	default:
		add("", func() Part { return Accept(InOrder()) })
	}
	switch d.IntN(6) {
	case 0:
		add("", func() Part { return Accept(NoExemplars()) })
	case 1:
		add("", func() Part { return Accept(ExemplarsInOrder(nil)) })
	}
	n := len(tellings)
	switch d.IntN(5) {
	case 0:
		n--
		add("", Atomically)
	case 1:
		n--
		add("", func() Part { return func(p *Profile) { p.Atomic = by1 } })
	}
	t := tellings[d.IntN(n)]
	add(t.name, func() Part { return RefusedBy(t.tell) })
	return k
}

// tellings are ways to tell of a refusal. The last one is not for atomic receivers. All of them say when samples come too late: a
// receiver that refuses those without a word has its samples looked into one by one, and not within the times that are demanded here.
var tellings = []struct {
	name string
	tell Telling
}{
	{"told right", Tell(http.StatusBadRequest, Right, prometheusText)},
	{"told as nothing stored", Tell(http.StatusBadRequest, Zero, cortexText)},
	{"told by 409", Tell(http.StatusConflict, Absent, thanosText)},
	{"told by 400", Tell(http.StatusBadRequest, Absent, terseText)},
	{"told by 422", Tell(http.StatusUnprocessableEntity, Absent, plainText)},
	{"told as all stored", Tell(http.StatusBadRequest, All, mimirText)},
}

// versions draws what is understood, and what is answered to the rest. Where there is no 2.0 ever, that may be anything; where a
// receiver of 1.0 alone may follow one of 2.0, it says so by 415 or 2xx without headers.
func (d dice) versions(add func(string, func() Part)) {
	if !d.old {
		switch d.IntN(5) {
		case 0, 1, 2:
			add("1.0 and 2.0", func() Part { return Version() })
		case 3:
			add("2.0", func() Part {
				return Version(Status(http.StatusUnsupportedMediaType, "Unsupported proto version").When(By(1)))
			})
		default:
			d.only1(add, d.status(200, 204, 415))
		}
		return
	}
	if d.chance(0.1) {
		code := d.status(301, 302, 303)
		add("1.0", func() Part {
			return func(p *Profile) {
				Fault(Login())(p)
				Version(Redirect(code, "http://login.example/login", "/login").When(By(2)))(p)
			}
		})
		return
	}
	d.only1(add, d.status(200, 200, 204, 204, 400, 400, 403, 404, 405, 406, 411, 413, 415, 415, 415, 422, 500, 501))
}

func (d dice) only1(add func(string, func() Part), code int) {
	add("1.0", func() Part { return Version(Status(code, "").When(By(2))) })
}
