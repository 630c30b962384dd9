package scrape

import "time"

// churnSlot is the time that one counter of a churn stands for. Together they stand for an hour.
const churnSlot = 10 * time.Minute

// churn counts new series over the last hour, in steps of churnSlot.
type churn struct {
	slots [time.Hour / churnSlot]uint32
	last  int64 // number of the slot that was used last, since the epoch
}

// add counts n series.
func (c *churn) add(n int, now time.Time) {
	c.moveTo(now)
	c.slots[c.last%int64(len(c.slots))] += uint32(max(n, 0))
}

// sum is how many series were counted in the last 50 to 60 minutes.
func (c churn) sum(now time.Time) (n int) {
	c.moveTo(now)
	for _, s := range c.slots {
		n += int(s)
	}
	return n
}

// moveTo clears the slots since the last one. A clock that was set back changes nothing.
func (c *churn) moveTo(now time.Time) {
	slot := now.Unix() / int64(churnSlot/time.Second)
	if slot-c.last > int64(len(c.slots)) {
		c.last = slot - int64(len(c.slots))
	}
	for c.last < slot {
		c.last++
		c.slots[c.last%int64(len(c.slots))] = 0
	}
}
