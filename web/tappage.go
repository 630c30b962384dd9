package web

import "net/http"

// tapPage is what tap.html shows.
type tapPage struct {
	On           bool
	Match        string
	Destination  string
	Destinations []string
}

func (s *Server) tapPage(w http.ResponseWriter, r *http.Request, src *Sources) {
	q := r.URL.Query()
	p := &tapPage{On: s.options.Tap && src.Tap != nil, Match: q.Get("match[]"), Destination: q.Get("destination")}
	for _, d := range src.Destinations.Statuses() {
		p.Destinations = append(p.Destinations, d.Name)
	}
	s.show(w, src, content{file: "tap.html", title: "Tap", active: "tap", body: p})
}
