package web

import (
	"fmt"
	"net/http"
	"slices"
)

// topShown is how many targets, monitors and namespaces the page of top series shows each.
const topShown = 20

// topPage is what top.html shows.
type topPage struct {
	Total  Cost
	By     []chip
	Tables []topTable
}

// topTable is a list of costs.
type topTable struct {
	Name, One string
	Counts    bool // each row may be of several targets
	Rows      []topRow
}

// topRow is a cost, with a link to what costs it.
type topRow struct {
	Cost
	Of, Address string
	Share       string // of all series
}

// topWords are the words of the links that choose the comparison.
var topWords = map[string]string{"series": "by series", "samples": "by samples", "bytes": "by size", "added": "by new series"}

func (s *Server) topPage(w http.ResponseWriter, r *http.Request, src *Sources) {
	by := r.URL.Query().Get("by")
	if !slices.ContainsFunc(topBy, func(b topOrder) bool { return b.name == by }) {
		by = topBy[0].name
	}
	s.show(w, src, content{file: "top.html", title: "Top series", active: "top", body: newTopPage(newTop(src, by, topShown), by)})
}

func newTopPage(t Top, by string) *topPage {
	p := &topPage{Total: t.Total}
	for _, b := range topBy {
		p.By = append(p.By, chip{Words: topWords[b.name], Address: to("top", "by", b.name), On: b.name == by})
	}
	rows := func(costs []Cost, link func(Cost) (of, address string)) (out []topRow) {
		for _, c := range costs {
			row := topRow{Cost: c, Share: share(c.Series, t.Total.Series)}
			row.Of, row.Address = link(c)
			if row.Name == "" {
				row.Name = none
			}
			row.Name = clip(row.Name)
			out = append(out, row)
		}
		return out
	}
	p.Tables = []topTable{
		{Name: "Monitors", One: "Monitor", Counts: true, Rows: rows(t.Monitors, func(c Cost) (string, string) {
			return "", address("monitor", string(c.Owner.Kind)+"/"+c.Owner.Namespace+"/"+c.Owner.Name)
		})},
		{Name: "Namespaces", One: "Namespace", Counts: true, Rows: rows(t.Namespaces, func(c Cost) (string, string) {
			return "", address("by", byNamespace, "monitor", byNamespace+"/"+c.Name)
		})},
		{Name: "Targets", One: "Target", Rows: rows(t.Targets, func(c Cost) (string, string) { return c.Job, address("job", c.Job) })},
	}
	return p
}

func share(n, of int) string {
	if of == 0 {
		return none
	}
	return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(of))
}
