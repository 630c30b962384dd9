package web

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

// FuzzParameters: whatever the parameters of a path of the API are, the answer is one of its own, and nothing panics.
func FuzzParameters(f *testing.F) {
	for _, query := range []string{
		"", "state=active&scrapePool=serviceMonitor/shop/cart/0", "match_target={job=~\"(\"}&limit=-1&metric=a", "limit=9223372036854775808", "scrapePool=%00&labels=%00",
		"scrapePool=serviceMonitor/shop/cart/0&labels={\"__address__\":\"a\",\"__param_token\":\"x\"}", "labels={\"\":\"\"}&scrapePool=serviceMonitor/shop/cart/0", "labels=[[[[[[[", "%zz&;", "match_target={__name__=\"\\xff\"}",
		"match[]={a=\"b\"}&duration=1ms&limit=1&format=json", "duration=9999999999y", "state=any&state=dropped", "match_target=1+1", "match_target=up offset 5m", "labels={\"a\":1}",
	} {
		for i := range 10 {
			f.Add(i, query)
		}
	}
	s, _ := newServer(f, nil)
	_, src := described(f)
	s.Ready(src)
	paths := slices.Sorted(maps.Keys(s.apis()))
	h := s.handler()
	f.Fuzz(func(t *testing.T, path int, query string) {
		if path < 0 {
			return
		}
		r := httptest.NewRequest(http.MethodGet, "/api/v1/"+paths[path%len(paths)], nil)
		r.URL.RawQuery = query
		_, _ = newTapQuery(r.Clone(t.Context()))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		var answer struct{ Status string }
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code == 200 != (answer.Status == "success") || w.Code != 200 && w.Code != 400 {
			t.Errorf("%s?%s: %d %s, %v", r.URL.Path, query, w.Code, w.Body, err)
		}
	})
}
