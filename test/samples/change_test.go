package samples

import "slices"

// change changes the page from one step to the next.
func (g *generator) change() {
	if g.stamped && g.chance(40) { // a cadvisor that has not looked again
		g.seen.add("every line stamped, and repeated")
		return
	}
	if g.chance(3) {
		g.epoch = g.now
		g.seen.add("target restart")
		for _, f := range g.page {
			for _, l := range f.lines {
				l.value = "0"
			}
		}
	}
	for _, f := range g.page {
		for _, l := range f.lines {
			g.changeLine(f, l)
		}
		g.changeFamily(f)
		if f.large && g.chance(20) {
			g.churn(f)
		}
	}
	what := g.IntN(8)
	if g.steady {
		g.changeMiddle()
		what = g.IntN(24)
	}
	switch what {
	case 0:
		g.page = slices.Insert(g.page, g.IntN(len(g.page)+1), g.family())
	case 1:
		i := g.IntN(len(g.page))
		g.page = slices.Delete(g.page, i, i+1)
	case 2:
		g.Shuffle(len(g.page), func(i, j int) { g.page[i], g.page[j] = g.page[j], g.page[i] })
	case 3: // the same family once more
		if len(g.page) > 0 {
			f := *g.page[g.IntN(len(g.page))]
			f.lines = nil
			f.typ, f.whole = pick(g, "counter", "gauge", "histogram", "summary"), false
			for range 1 + g.IntN(3) {
				f.lines = append(f.lines, g.line(&f))
			}
			g.page = append(g.page, &f)
		}
	}
	if len(g.page) == 0 {
		g.page = append(g.page, g.family())
	}
}

// churn replaces many series by others.
func (g *generator) churn(f *pageFamily) {
	g.seen.add("many series replaced")
	for i := range f.lines {
		if g.chance(40) {
			f.lines[i] = g.line(f)
		}
	}
}

// changeMiddle adds or removes a line that is neither the first nor the last one.
func (g *generator) changeMiddle() {
	f := g.page[g.IntN(len(g.page))]
	for _, other := range g.page {
		if len(f.lines) < 3 {
			f = other
		}
	}
	for len(f.lines) < 3 {
		f.lines = append(f.lines, g.line(f))
	}
	i := 1 + g.IntN(len(f.lines)-2)
	if g.chance(50) || len(f.lines) > 10 {
		f.lines = slices.Delete(f.lines, i, i+1)
	} else {
		f.lines = slices.Insert(f.lines, i, g.line(f))
	}
}

func (g *generator) changeLine(f *pageFamily, l *pageLine) {
	if g.chance(60) {
		l.value = g.lineValue(f)
		if h := l.classic; h != nil {
			h.counts[g.IntN(len(bounds))] += uint64(g.IntN(4))
			h.sum += g.NormFloat64()
		}
	}
	if l.other = ""; g.differs && g.chance(40) {
		l.other = g.lineValue(f)
	}
	if l.exemplar != nil && g.chance(20) {
		l.exemplar = g.exemplar()
	}
	if l.stamp != 0 && g.chance(70) {
		before := l.stamp
		l.stamp = g.now - int64(g.IntN(12000)) + int64(g.IntN(100))*100
		if g.chance(2) {
			l.stamp = g.now + 11*60*1000
			g.seen.add("timestamps too far ahead")
		}
		if l.stamp < before {
			g.seen.add("timestamps going back")
		} else {
			g.seen.add("timestamps going forth")
		}
	}
	if g.chance(1) && !g.stamped {
		l.stamp = pick(g, 0, g.now)
	}
}

func (g *generator) changeFamily(f *pageFamily) {
	switch g.IntN(25) {
	case 0:
		f.lines = slices.Insert(f.lines, g.IntN(len(f.lines)+1), g.line(f))
	case 1:
		if len(f.lines) > 0 {
			i := g.IntN(len(f.lines))
			f.lines = slices.Delete(f.lines, i, i+1)
		}
	case 2:
		g.Shuffle(len(f.lines), func(i, j int) { f.lines[i], f.lines[j] = f.lines[j], f.lines[i] })
	case 3:
		g.repeatLine(f)
	case 4:
		f.help = pick(g, "Help.", "New help.")
	case 5:
		f.typ = pick(g, "counter", "gauge", "histogram", "summary")
	case 6:
		f.noType, f.noHelp = g.chance(50), g.chance(50)
	}
	if f.unit != "" && g.chance(5) {
		f.unit = pick(g, "seconds", "bytes", "econds", "")
		g.seen.add("UNIT that changes")
	}
}

// repeatLine repeats one of the lines of a family.
func (g *generator) repeatLine(f *pageFamily) {
	if len(f.lines) == 0 {
		return
	}
	l := *f.lines[g.IntN(len(f.lines))]
	if g.chance(60) {
		l.value = g.lineValue(f)
		g.seen.add("line repeated with another value")
	} else {
		g.seen.add("line repeated with an equal value")
	}
	if l.stamp != 0 && g.chance(50) {
		l.stamp += int64(g.IntN(3)-1) * 1000
	}
	f.lines = slices.Insert(f.lines, g.IntN(len(f.lines)+1), &l)
}
