package receiver

import (
	"math"
	"net/http"
	"slices"
	"time"
)

// sendLocked records what came with a request: in what order, and whether it came before.
func (r *Receiver) sendLocked(q *Request) {
	for _, s := range q.Series {
		b := r.series[s.Name]
		if b == nil {
			b = &seriesRecord{labels: s.Labels, at: map[int64]int{}, sent: math.MinInt64}
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

// landLocked records that a request has ended, and what its answer excuses if it arrives.
func (r *Receiver) landLocked(q *Request, arrives bool) {
	if arrives {
		for _, i := range q.excused {
			e, _ := r.series[i.Series.Name].entry(i.Sample)
			e.excused = true
		}
	}
	for _, s := range q.Series {
		if b := r.series[s.Name]; b != nil && len(s.Samples) > 0 {
			b.inFlight--
		}
	}
}

// decideLocked answers a request that was read, and stores what is taken of it.
func (r *Receiver) decideLocked(q *Request, x *Exchange) *Answer {
	p := r.profile
	for i, gates := range [...][]Gate{p.Faults, p.Versions, p.Limits} {
		if a := ask(gates, q); a != nil {
			x.Gate = a.gate
			r.turnAwayLocked(q, x, a, i != 1)
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

// turnAwayLocked records that a gate answered. Understood tells that it was not a gate of Versions.
func (r *Receiver) turnAwayLocked(q *Request, x *Exchange, a *Answer, understood bool) {
	alone := understood && q.Sent.Samples() == 1
	told := q.Version == 1 || a.Header.Get("X-Prometheus-Remote-Write-Samples-Written") != ""
	silent := understood && told && a.Fate == Arrives && a.Wait >= 0 && a.Status/100 == 2
	why := byStatus(a.Status)
	q.items(func(i Item) {
		x.Refused++
		r.refused[why]++
		if i.Kind == Exemplar {
			return
		}
		e, _ := r.series[i.Series.Name].entry(i.Sample)
		e.Refused = append(e.Refused, why)
		if alone {
			e.Alone = append(e.Alone, a.Status)
		}
		if silent {
			e.Silent++
		}
		if silent || alone && slices.Contains(final, a.Status) {
			q.excused = append(q.excused, i)
		}
	})
}

// judgeLocked asks the rules about each item and stores what is taken.
func (r *Receiver) judgeLocked(p Profile, q *Request) Outcome {
	o := Outcome{Version: q.Version, Sent: q.Sent}
	v := &View{Now: time.Now(), receiver: r, pending: make(map[string]*track, len(q.Series))}
	taken := make([]Item, 0, q.Sent.Samples()+q.Sent[Exemplar])
	var dropped []Refusal
	q.items(func(i Item) {
		switch verdict := v.judge(p.Rules, i); {
		case verdict.Reason == "":
			taken = append(taken, i)
		case verdict.Silent:
			dropped = append(dropped, Refusal{i, verdict})
		default:
			o.Refused = append(o.Refused, Refusal{i, verdict})
		}
	})
	for _, f := range o.Refused {
		r.refuseLocked(q, f.Item, f.Reason)
	}
	if len(o.Refused) > 0 && p.Atomic != nil && p.Atomic(q.Version) {
		for _, i := range taken {
			r.refuseLocked(q, i, Company)
		}
		for _, f := range dropped {
			r.refuseLocked(q, f.Item, Company)
		}
		return o
	}
	for _, f := range dropped {
		o.Silent[f.Kind]++
		r.refuseLocked(q, f.Item, f.Reason)
		if f.Kind != Exemplar {
			e, _ := r.series[f.Series.Name].entry(f.Sample)
			e.Silent++
			q.excused = append(q.excused, f.Item)
		}
	}
	for _, i := range taken {
		if r.storeLocked(i, q.Number) {
			o.Stored[i.Kind]++
		} else {
			o.Repeated[i.Kind]++
		}
	}
	return o
}

func (r *Receiver) refuseLocked(q *Request, i Item, why Reason) {
	r.refused[why]++
	if i.Kind == Exemplar {
		return
	}
	e, _ := r.series[i.Series.Name].entry(i.Sample)
	e.Refused = append(e.Refused, why)
	if slices.Contains(data, why) {
		q.excused = append(q.excused, i)
	}
}

// storeLocked takes an item of a request, and tells whether it is new.
func (r *Receiver) storeLocked(i Item, request int) bool {
	b := r.series[i.Series.Name]
	if i.Kind == Exemplar {
		if slices.Contains(b.exemplars, i.exemplar) {
			return false
		}
		b.exemplars = append(b.exemplars, i.exemplar)
		b.exemplar = exemplar{i.Sample.Time, i.exemplar}
		return true
	}
	e, _ := b.entry(i.Sample)
	e.By = append(e.By, request)
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
