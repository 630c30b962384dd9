package receiver

import (
	"errors"
	"math"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/prometheus/prometheus/model/histogram"
)

// TestAddress has a receiver come, leave and come back at one address.
func TestAddress(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	s := NewServer(address, Plain())
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	do := func(second int) error {
		req := write(2, one("a", second))
		out, err := http.NewRequest(http.MethodPost, s.URL(), req.Body)
		if err != nil {
			return err
		}
		out.Header = req.Header
		resp, err := client.Do(out)
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	for second := range 2 {
		if err := do(-1); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("while it is away: %v", err)
		}
		if err := s.Up(); err != nil {
			t.Fatal(err)
		}
		if err := s.Up(); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("up twice: %v", err)
		}
		if err := do(second); err != nil {
			t.Error(err)
		}
		s.Down()
	}
	if got := values(s.Receiver); got != `{__name__="a"} 0 1` || s.Err() != nil {
		t.Errorf("stored %s; %v", got, s.Err())
	}
}

// TestStoredAllTheSame has answers that say nothing of what was stored.
func TestStoredAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(Plain().With(Back(Instead(500, "stored and yet").When(Numbered(0)), HangAnswer().When(Numbered(1)))))
		if got := send(t, r, write(2, one("a", -2))); got.status != 500 || got.text != "stored and yet" || got.written != "1/0/0" {
			t.Errorf("%+v", got)
		}
		done := make(chan error)
		go func() {
			_, err := r.RoundTrip(write(2, one("a", -1)))
			done <- err
		}()
		synctest.Wait()
		if x := r.Requests()[1]; !x.Done.IsZero() || x.Stored.Samples() != 1 {
			t.Errorf("%+v", x)
		}
		r.Set(Plain())
		if err := <-done; !errors.Is(err, syscall.ECONNRESET) {
			t.Error(err)
		}
		send(t, r, write(2, one("a", -1)))
		if e := r.Entries()[`{__name__="a"}`]; len(e) != 2 || len(e[0].By) != 1 || len(e[1].By) != 2 || e[1].By[0] != 1 || e[1].By[1] != 2 {
			t.Errorf("%+v", e)
		}
		sound(t, r)
	})
}

// TestSelect finds series by labels.
func TestSelect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(Plain().With(Accept(Bad("c", func(name string) bool { return strings.Contains(name, `"c"`) }))))
		send(t, r, write(2, one("b", -2, -1), one("a", -1), one("a", -1).with("x", "1"), one("c", -1)))
		for name, c := range map[string]struct {
			match []string
			want  string
		}{
			"all":     {nil, `{__name__="a", x="1"} {__name__="a"} {__name__="b"}`},
			"name":    {[]string{"__name__", "a"}, `{__name__="a", x="1"} {__name__="a"}`},
			"without": {[]string{"__name__", "a", "x", ""}, `{__name__="a"}`},
			"none":    {[]string{"__name__", "c"}, ""},
		} {
			var got []string
			for _, s := range r.Select(c.match...) {
				got = append(got, s.Name)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%s: %q, want %s", name, got, c.want)
			}
		}
	})
}

// TestHistogramText tells histograms apart by any bit.
func TestHistogramText(t *testing.T) {
	a, b := &histogram.Histogram{Sum: math.NaN()}, &histogram.Histogram{Sum: math.Float64frombits(math.Float64bits(math.NaN()) + 1)}
	if HistogramText(a, nil) == HistogramText(b, nil) || HistogramText(a, nil) != HistogramText(a.Copy(), nil) || HistogramText(nil, a.ToFloat(nil)) == HistogramText(a, nil) {
		t.Errorf("%s\n%s\n%s", HistogramText(a, nil), HistogramText(b, nil), HistogramText(nil, a.ToFloat(nil)))
	}
}
