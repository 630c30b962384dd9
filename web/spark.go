package web

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Size of a sparkline, in the units of its drawing. The page stretches it.
const (
	sparkWidth  = 120
	sparkHeight = 28
)

// spark is a sparkline: a small plot without axes.
type spark struct {
	Line, Area    string // paths of SVG; empty if there is too little to draw
	Width, Height int
	Words         string // for those who do not see it
}

// point is a value at a time.
type point struct {
	At    time.Time
	Value float64
}

// newSpark draws points, the oldest first. What it shows is said in words by name, and show writes a value. The bottom is 0. Where values
// are NaN, there is a gap.
func newSpark(name string, points []point, show func(float64) string) spark {
	s := spark{Width: sparkWidth, Height: sparkHeight}
	least, most, last, n := math.Inf(1), 0.0, math.NaN(), 0
	for _, p := range points {
		if !math.IsNaN(p.Value) && !math.IsInf(p.Value, 0) {
			least, most, last = min(least, p.Value), max(most, p.Value), p.Value
			n++
		}
	}
	if n < 2 {
		return s
	}
	span := points[len(points)-1].At.Sub(points[0].At)
	s.Words = fmt.Sprintf("%s over the last %s: now %s, least %s, most %s", name, seconds(span), show(last), show(least), show(most))
	x := func(p point) float64 {
		return sparkWidth * float64(p.At.Sub(points[0].At)) / float64(max(span, 1))
	}
	y := func(p point) float64 {
		return sparkHeight - 1 - (sparkHeight-3)*p.Value/max(most, math.SmallestNonzeroFloat64)
	}
	var line, area strings.Builder
	begun := -1.0 // where a part without gaps begins; negative outside of one
	end := func() {
		if begun >= 0 {
			fmt.Fprintf(&area, "V%dH%.1fZ", sparkHeight, begun)
		}
		begun = -1
	}
	for _, p := range points {
		if math.IsNaN(p.Value) || math.IsInf(p.Value, 0) {
			end()
			continue
		}
		at := x(p)
		if begun < 0 {
			begun = at
			fmt.Fprintf(&line, "M%.1f %.1f", at, y(p))
			fmt.Fprintf(&area, "M%.1f %dV%.1f", at, sparkHeight, y(p))
			continue
		}
		fmt.Fprintf(&line, "L%.1f %.1f", at, y(p))
		fmt.Fprintf(&area, "L%.1f %.1f", at, y(p))
	}
	end()
	s.Line, s.Area = line.String(), area.String()
	return s
}
