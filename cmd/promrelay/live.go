package main

import (
	"time"

	"promrelay/relay"
	"promrelay/scrape"
	"promrelay/targets"
)

// live gives explanations the state of scrapes and destinations.
func live(pool *scrape.Pool, delivery *relay.Relay) targets.Live {
	return targets.Live{
		Scrapes: func(job string) (out []targets.Scraped) {
			for _, s := range pool.Statuses(job) {
				out = append(out, targets.Scraped{
					Target: s.Target, Health: string(s.Health), Error: s.Error, Mend: s.Advice, At: s.LastScrape,
					Page: s.Page, Samples: s.Samples, Repeated: s.Repeated, Future: s.Future, DroppedBy: s.DroppedBy,
				})
			}
			return out
		},
		Destinations: func() (out []targets.Delivered) {
			now := time.Now()
			for _, s := range delivery.Statuses() {
				out = append(out, delivered(s, now))
			}
			return out
		},
	}
}

// refusedLately is how long the refusals of a destination are told.
const refusedLately = time.Hour

func delivered(s relay.Status, now time.Time) targets.Delivered {
	d := targets.Delivered{Name: s.Name, Behind: s.Behind, Error: s.Error, Mend: s.Advice, Drops: s.Drops}
	for _, a := range s.AsideSeries {
		d.Aside = append(d.Aside, targets.Aside{Labels: a.Labels, Error: a.Error})
	}
	if s.Newest > 0 {
		d.Lag = max(now.Sub(time.UnixMilli(s.Newest)), time.Millisecond)
	}
	for _, r := range s.Refusals {
		if now.Sub(r.Last) < refusedLately {
			text := r.Error
			if r.Advice != "" {
				text += " (" + r.Advice + ")"
			}
			d.Refusals = append(d.Refusals, text)
		}
	}
	return d
}
