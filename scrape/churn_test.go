package scrape

import (
	"context"
	"testing"
	"time"

	promconfig "github.com/prometheus/prometheus/config"
)

func TestChurnOverAnHour(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	var c churn
	for range 180 { // three hours
		c.add(5, now)
		now = now.Add(time.Minute)
	}
	if n := c.sum(now.Add(-time.Minute)); n < 5*50 || n > 5*60 {
		t.Errorf("%d series in the last hour, want 250 to 300", n)
	}
	c.add(-1, now)
	if n := c.sum(now.Add(30 * time.Minute)); n < 5*20 || n > 5*30 {
		t.Errorf("%d series half an hour later, want 100 to 150", n)
	}
	if n := c.sum(now.Add(time.Hour)); n != 0 {
		t.Errorf("%d series after an hour without new ones", n)
	}
	c.add(7, now.Add(-2*time.Hour)) // the clock was set back
	if n := c.sum(now); n < 7 {
		t.Errorf("%d series after the clock was set back", n)
	}
}

// TestAddedSeries: the first page of a target adds no series, also if it comes after failed scrapes; later pages add those that are new.
func TestAddedSeries(t *testing.T) {
	l := testLoop(t, &countLog{}, promconfig.ScrapeConfig{}, served(typeText, false, "{", "a 1\nb 1\n", "a 1\nb 1\nc 1\nd 1\n", "a 1\ne 1\n", "a 1\nc 1\n"))
	for i, want := range []int{0, 0, 2, 3, 4} {
		l.scrape(context.Background(), time.Now().Add(time.Duration(i)*time.Millisecond))
		if got := l.state().Added; got != want {
			t.Errorf("after page %d: %d series were added, want %d; %s", i, got, want, l.state().Error)
		}
	}
}
