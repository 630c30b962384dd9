package targets

import "testing"

func TestRedact(t *testing.T) {
	for name, c := range map[string]struct {
		secrets       []string
		message, want string
	}{
		"none":                    {nil, "a b", "a b"},
		"an empty one":            {[]string{"", "b"}, "a b", "a <secret>"},
		"one begins another":      {[]string{"abc", "abcdef"}, "abc abcdef", "<secret> <secret>"},
		"the other way round":     {[]string{"abcdef", "abc"}, "abc abcdef", "<secret> <secret>"},
		"one is in another":       {[]string{"c", "abcd"}, "abcd c", "<secret> <secret>"},
		"one is in what is shown": {[]string{"x-long", "secret"}, "x-long secret", "<secret> <secret>"},
	} {
		if got := Redact(c.message, c.secrets); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
