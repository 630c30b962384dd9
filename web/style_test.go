package web

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// contrasts are the pairs of text and ground that page.css uses.
var contrasts = [][2]string{
	{"ink", "ground"},
	{"ink", "paper"},
	{"soft", "ground"},
	{"soft", "paper"},
	{"link", "ground"},
	{"link", "paper"},
	{"up", "upground"},
	{"down", "downground"},
	{"wait", "waitground"},
	{"down", "paper"},
	{"down", "ground"},
	{"ink", "chosen"},
	{"ink", "upground"},
	{"up", "paper"},
}

// TestContrast: text can be read in both schemes, by WCAG's measure.
func TestContrast(t *testing.T) {
	text, err := pageFiles.ReadFile("html/page.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark := map[string]string{}, map[string]string{}
	for _, m := range regexp.MustCompile(`--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);`).FindAllStringSubmatch(string(text), -1) {
		light[m[1]], dark[m[1]] = m[2], m[3]
	}
	for name, colours := range map[string]map[string]string{"light": light, "dark": dark} {
		for _, pair := range contrasts {
			if c := contrast(t, colours[pair[0]], colours[pair[1]]); c < 4.5 {
				t.Errorf("%s: %s on %s has a contrast of %.2f", name, pair[0], pair[1], c)
			}
		}
	}
	// A colour that stands elsewhere would not be looked at.
	_, rest, _ := strings.Cut(string(text), "* { box-sizing")
	if m := regexp.MustCompile(`#[0-9a-fA-F]{3,8}\b[^{]*;|rgba?\(|opacity: *0?\.`).FindString(rest); m != "" {
		t.Errorf("page.css has a colour outside of its list: %s", m)
	}
	if c := contrast(t, "#767676", "#ffffff"); math.Abs(c-4.54) > 0.01 {
		t.Errorf("the measure is wrong: %.2f", c)
	}
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	la, lb := luminance(t, a), luminance(t, b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(t *testing.T, colour string) (l float64) {
	t.Helper()
	n, err := strconv.ParseUint(strings.TrimPrefix(colour, "#"), 16, 32)
	if err != nil {
		t.Fatalf("colour %q: %v", colour, err)
	}
	for i, weight := range []float64{0.0722, 0.7152, 0.2126} {
		c := float64(n>>(8*i)&0xff) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		l += weight * c
	}
	return l
}
