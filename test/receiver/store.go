package receiver

import (
	"math"
	"net/http"
	"time"
)

// sendLocked books what came with a request: in what order, and whether it came before.
func (r *Receiver) sendLocked(q *Request) {
	for _, s := range q.Series {
		b := r.series[s.Name]
		if b == nil {
			b = &book{at: map[int64]int{}, sent: math.MinInt64}
			r.series[s.Name] = b
		}
		if len(s.Samples) == 0 {
			continue
		}
		if b.inFlight++; b.inFlight == 2 {
			note(&r.parallel, q.Number, s.Name+" is in another request under way")
		}
		for _, one := range s.Samples {
			e, found := b.entry(one)
			switch {
			case found && !e.Equal(one):
				note(&r.problems, q.Number, s.Name+": repeated, but not the same")
			case !found && one.Time < b.sent:
				note(&r.problems, q.Number, s.Name+": sent for the first time after a newer one")
			}
			e.Sent++
			b.sent = max(b.sent, one.Time)
		}
	}
}

// landLocked books that a request is no longer under way.
func (r *Receiver) landLocked(q *Request) {
	for _, s := range q.Series {
		if b := r.series[s.Name]; b != nil && len(s.Samples) > 0 {
			b.inFlight--
		}
	}
}

// decideLocked answers a request that was read, and stores what is taken of it.
func (r *Receiver) decideLocked(q *Request, x *Exchange) *Answer {
	p := r.profile
	for _, gates := range [][]Gate{p.Faults, p.Versions, p.Limits} {
		if a := ask(gates, q); a != nil {
			x.Gate = a.gate
			r.turnAwayLocked(q, x, a)
			return a
		}
	}
	if q.Method != http.MethodPost {
		return plain(http.StatusMethodNotAllowed, "Method not allowed")
	}
	if q.err != nil {
		return plain(http.StatusBadRequest, q.err.Error())
	}
	for name, md := range q.families {
		r.metadata[name] = md
	}
	o := r.judgeLocked(p, q)
	x.Stored, x.Repeated, x.Refused = o.Stored, o.Repeated, len(o.Refused)
	return p.tell(o)
}

// turnAwayLocked books that a gate answered.
func (r *Receiver) turnAwayLocked(q *Request, x *Exchange, a *Answer) {
	alone := q.Sent.Samples() == 1
	silent := a.Fate == Arrives && a.Wait >= 0 && a.Status/100 == 2 && q.Method == http.MethodPost
	q.items(func(i Item) {
		x.Refused++
		r.refused[byStatus(a.Status)]++
		if i.Kind == Exemplar {
			return
		}
		e, _ := r.series[i.Series.Name].entry(i.Sample)
		e.Refused = append(e.Refused, byStatus(a.Status))
		if alone {
			e.Alone = append(e.Alone, a.Status)
		}
		if silent && (q.Version == 1 || a.Header.Get("X-Prometheus-Remote-Write-Samples-Written") != "") {
			e.Silent++
		}
	})
}

// judgeLocked asks the rules about each item and stores what is taken.
func (r *Receiver) judgeLocked(p Profile, q *Request) Outcome {
	o := Outcome{Version: q.Version, Sent: q.Sent}
	v := &View{Now: time.Now(), receiver: r, pending: map[string]*track{}}
	var taken []Item
	q.items(func(i Item) {
		verdict := v.judge(p.Rules, i)
		switch {
		case verdict.Reason == "":
			taken = append(taken, i)
		case verdict.Silent:
			o.Silent[i.Kind]++
			r.refuseLocked(i, verdict.Reason, true)
		default:
			o.Refused = append(o.Refused, Refusal{i, verdict})
			r.refuseLocked(i, verdict.Reason, false)
		}
	})
	if len(o.Refused) > 0 && p.Atomic != nil && p.Atomic(q.Version) {
		for _, i := range taken {
			r.refuseLocked(i, Company, false)
		}
		return o
	}
	for _, i := range taken {
		if r.storeLocked(i) {
			o.Stored[i.Kind]++
		} else {
			o.Repeated[i.Kind]++
		}
	}
	return o
}

func (r *Receiver) refuseLocked(i Item, why Reason, silent bool) {
	r.refused[why]++
	if i.Kind == Exemplar {
		return
	}
	e, _ := r.series[i.Series.Name].entry(i.Sample)
	e.Refused = append(e.Refused, why)
	if silent {
		e.Silent++
	}
}

// storeLocked takes an item, and tells whether it is new.
func (r *Receiver) storeLocked(i Item) bool {
	b := r.series[i.Series.Name]
	if i.Kind == Exemplar {
		fresh := b.exemplar.text != i.exemplar
		if fresh {
			b.exemplars = append(b.exemplars, i.exemplar)
			b.exemplar = exemplar{i.Sample.Time, i.exemplar}
		}
		return fresh
	}
	e, _ := b.entry(i.Sample)
	if e.Taken++; e.Taken > 1 {
		return false
	}
	if len(b.stored) == 0 {
		r.known++
	}
	if len(b.stored) == 0 || i.Sample.Time > b.newest.Time {
		b.newest = i.Sample
	}
	r.head = max(r.head, i.Sample.Time)
	b.stored = append(b.stored, i.Sample)
	return true
}
