package relay

import (
	"testing"
	"time"
)

func TestSize(t *testing.T) {
	type step struct {
		large bool // the request is too large; else it is accepted
		n     int
		after time.Duration // since the step before
		want  int           // the size then
	}
	tests := map[string]struct {
		limit int
		steps []step
	}{
		"one too large changes nothing":           {2000, []step{{true, 2000, 0, 2000}}},
		"two in a row halve it":                   {2000, []step{{true, 2000, 0, 2000}, {true, 2000, 0, 1000}}},
		"one accepted between counts anew":        {2000, []step{{true, 2000, 0, 2000}, {false, 2000, 0, 2000}, {true, 2000, 0, 2000}}},
		"a small one accepted between does not":   {2000, []step{{true, 2000, 0, 2000}, {false, 10, 0, 2000}, {true, 2000, 0, 1000}}},
		"small ones say nothing of it":            {2000, []step{{true, 999, 0, 2000}, {true, 999, 0, 2000}, {true, 1, 0, 2000}}},
		"those of half the size do":               {2000, []step{{true, 1000, 0, 2000}, {true, 1000, 0, 1000}}},
		"old ones of twice the size count":        {2000, []step{{true, 2000, 0, 2000}, {true, 2000, 0, 1000}, {true, 2000, 0, 1000}, {true, 1000, 0, 500}}},
		"it has a floor":                          {200, []step{{true, 200, 0, 200}, {true, 200, 0, 100}, {true, 100, 0, 100}, {true, 100, 0, 50}, {true, 50, 0, 50}, {true, 50, 0, 50}, {true, 50, 0, 50}}},
		"the floor is reached from above":         {120, []step{{true, 120, 0, 120}, {true, 120, 0, 60}, {true, 60, 0, 60}, {true, 60, 0, 50}}},
		"a configured size below the floor stays": {20, []step{{true, 20, 0, 20}, {true, 20, 0, 20}, {true, 20, 0, 20}, {false, 20, time.Hour, 20}}},
		"one sample a request":                    {1, []step{{true, 1, 0, 1}, {true, 1, 0, 1}, {false, 1, time.Hour, 1}}},
		"it grows when requests are accepted for long enough": {2000, []step{
			{true, 2000, 0, 2000}, {true, 2000, 0, 1000}, {false, 1000, growAfter - 1, 1000}, {false, 1000, 1, 2000}, {false, 2000, time.Hour, 2000},
		}},
		"it grows step by step": {2000, []step{
			{true, 2000, 0, 2000},
			{true, 2000, 0, 1000},
			{true, 1000, 0, 1000},
			{true, 1000, 0, 500},
			{false, 500, growAfter, 1000},
			{false, 1000, growAfter - 1, 1000},
			{false, 1000, 1, 2000},
		}},
		"small ones do not let it grow":              {2000, []step{{true, 2000, 0, 2000}, {true, 2000, 0, 1000}, {false, 499, time.Hour, 1000}, {false, 500, 0, 2000}}},
		"it grows no further than the configuration": {90, []step{{true, 90, 0, 90}, {true, 90, 0, 50}, {false, 50, growAfter, 90}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			now := time.Now()
			s := newRequestSize(tt.limit)
			for i, st := range tt.steps {
				before := s.samples()
				now = now.Add(st.after)
				if !st.large {
					s.accepted(st.n, now)
				} else if got, changed := s.tooLarge(st.n, now); got != s.samples() || changed != (got != before) {
					t.Errorf("step %d: %d, changed %t, from %d to %d", i, got, changed, before, s.samples())
				}
				if got := s.samples(); got != st.want {
					t.Fatalf("step %d: %d samples, want %d", i, got, st.want)
				}
			}
		})
	}
}
