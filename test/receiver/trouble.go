package receiver

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// troubled adds up to three things that go wrong.
func (d dice) troubled(p Profile) Profile {
	for range d.IntN(4) {
		p = p.With(d.trouble())
	}
	return p
}

// trouble draws one thing that goes wrong.
func (d dice) trouble() Part {
	switch d.IntN(6) {
	case 0:
		return d.connection()
	case 1:
		return d.refusesAll()
	case 2:
		return d.later()
	case 3:
		return d.limit()
	case 4:
		return d.data()
	}
	return d.rare()
}

// connection draws something about connections and time.
func (d dice) connection() Part {
	switch d.IntN(8) {
	case 0:
		return OnWire(NoConnection())
	case 1:
		return OnWire(Reset())
	case 2:
		return Fault(Reset().When(Every(1 + d.IntN(5))))
	case 3:
		return Fault(Hang().When(Every(1 + d.IntN(5))))
	case 4:
		return Back(Latency(d.upTo(3 * time.Second)))
	case 5:
		return Slowly(d.upTo(3 * time.Second))
	case 6:
		return Back(LoseAnswer())
	}
	return Back(LoseAnswer().When(Every(1 + d.IntN(5))))
}

// often draws a condition that holds for the first requests, for every n-th one, for a while, or always.
func (d dice) often() Cond {
	switch d.IntN(4) {
	case 0:
		return First(1 + d.IntN(3))
	case 1:
		return Every(1 + d.IntN(4))
	case 2:
		return For(d.upTo(5 * time.Second))
	}
	return Cond{"always", func(*Request) bool { return true }}
}

// refusesAll answers with a status, whatever the request holds.
func (d dice) refusesAll() Part {
	code := d.status(400, 400, 401, 403, 404, 405, 406, 409, 410, 411, 413, 415, 418, 421, 422, 451)
	text := "refused"
	if d.chance(0.3) {
		text = "received message larger than max (1 vs 0)"
	}
	if d.chance(0.2) {
		return Fault(StatusClaiming(code, text, Zero).When(d.often()))
	}
	return Fault(Status(code, text).When(d.often()))
}

// later answers with a status that asks the sender to try again.
func (d dice) later() Part {
	code := d.status(408, 425, 429, 429, 499, 500, 502, 503, 503, 504, 507, 529)
	switch d.IntN(5) {
	case 0:
		return Fault(Page(code, fmt.Sprintf("%d %s", code, http.StatusText(code))).When(d.often()))
	case 1:
		return Fault(StatusWith(code, "later", "Retry-After", strconv.Itoa(d.IntN(12))).When(d.often()))
	case 2:
		after := d.upTo(10 * time.Second)
		return Fault(Gate{fmt.Sprintf("status %d, Retry-After a date in %s", code, after), func(*Request) *Answer {
			return plain(code, "later").set("Retry-After", time.Now().Add(after).UTC().Format(http.TimeFormat))
		}}.When(d.often()))
	case 3:
		return Fault(StatusClaiming(code, "later", Written(d.IntN(int(Absent)+1))).When(d.often()))
	}
	return Fault(Status(code, "later").When(d.often()))
}

// limit draws a limit of size or rate.
func (d dice) limit() Part {
	pace, burst := float64(20+d.IntN(2000)), 20+d.IntN(2000)
	switch d.IntN(4) {
	case 0:
		return Limit(CortexRate(pace, burst))
	case 1:
		return Limit(MimirRate(pace, burst))
	case 2:
		return Limit(Rate(Pace{PerSecond: pace, Burst: burst, Claim: Absent, RetryAfter: func(int) int { return 1 }}))
	}
	return Limit(d.tooLarge(1))
}

// tooLarge draws a limit of size that lets requests of so many samples pass.
func (d dice) tooLarge(least int) Gate {
	samples := least + d.IntN(500)
	switch d.IntN(4) {
	case 0:
		return CortexTooLarge(500 * samples)
	case 1:
		return MimirTooLarge(500 * samples)
	case 2:
		return ThanosLimits(Size{Bytes: 500 * samples})
	}
	return ThanosLimits(Size{Samples: samples})
}

// data draws a rule that refuses samples for what they are.
func (d dice) data() Part {
	s := d.some(300)
	switch d.IntN(7) {
	case 0:
		return Accept(MaxSeries(d.IntN(200)))
	case 1:
		return Accept(RefuseOnce(1+d.IntN(20), s.is))
	case 2:
		return Accept(Bounds(5*time.Second+d.upTo(time.Minute), 0))
	case 3:
		return Accept(Bad("for now, "+s.String(), s.is))
	case 4:
		return Accept(NoHistograms(d.chance(0.5)))
	case 5:
		return Accept(NoExemplars())
	}
	return Accept(Drop("another replica", true, func(i Item) bool { return s.is(i.Series.Name) }))
}

// rare draws something that was seen now and then: redirects, proxies that change answers, refused metadata.
func (d dice) rare() Part {
	switch d.IntN(8) {
	case 0:
		return func(p *Profile) {
			Fault(Login(), Redirect(d.status(301, 302, 303), "http://login.example/login", "/login").When(d.often()))(p)
		}
	case 1:
		return Fault(Redirect(d.status(307, 308), "/moved", "/moved").When(d.often()))
	case 2:
		return Fault(Status(d.status(400, 404, 500), "metadata is not supported").When(MetadataOnly()))
	case 3:
		return Fault(Status(400, "exemplars are not supported").When(WithExemplars()))
	case 4:
		return Back(NoWritten())
	case 5:
		return Back(Gzip())
	case 6:
		return TakenBy(Tell(http.StatusOK, Fresh, nil))
	}
	return TakenBy(Tell(http.StatusNoContent, Zero, nil))
}
