package scrape

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/model/value"
)

// parsedLine is what textparse makes of one line.
func parsedLine(openMetrics bool, line string) (v float64, ms *int64, err error) {
	var parser textparse.Parser = textparse.NewPromParser([]byte(line), nil, false)
	if openMetrics {
		parser = textparse.NewOpenMetricsParser([]byte(line+"# EOF\n"), nil)
	}
	entry, err := parser.Next()
	if err != nil {
		return 0, nil, err
	}
	if entry != textparse.EntrySeries {
		return 0, nil, fmt.Errorf("entry %d", entry)
	}
	_, ms, v = parser.Series()
	return v, ms, nil
}

func TestNumber(t *testing.T) {
	for text, want := range map[string]float64{
		"0": 0, "-0": math.Copysign(0, -1), "1": 1, "+1": 1, "-1": -1, "1.5": 1.5, ".5": .5, "5.": 5,
		"1e3": 1000, "1E+3": 1000, "1e-3": 0.001, "123456789012345": 123456789012345, "0.000001": 1e-6,
		"1e22": 1e22, "1e23": 1e23, "1e-22": 1e-22, "1e308": 1e308, "4.9e-324": 4.9e-324,
		"9007199254740993":   9007199254740992, // 2^53 + 1
		"0.1234567890123456": 0.1234567890123456,
		"1e0022":             1e22,
		"Inf":                math.Inf(1), "+Inf": math.Inf(1), "-Inf": math.Inf(-1), "inf": math.Inf(1),
		"NaN": math.Float64frombits(value.NormalNaN), "nan": math.Float64frombits(value.NormalNaN),
	} {
		for _, end := range []string{"\n", " 12\n"} {
			v, at, ok := number([]byte("m "+text+end), 2)
			if !ok || at != 2+len(text) || math.Float64bits(v) != math.Float64bits(want) {
				t.Errorf("%q before %q: %v up to %d, %t, want %v up to %d", text, end, v, at, ok, want, 2+len(text))
			}
		}
	}
	for _, text := range []string{
		"", " ", "\n", "+\n", "-\n", ".\n", "e5\n", "1e\n", "1e+\n", "1.2.3\n", "1x\n", "x\n", "{\n", "\t1\n", "1\t\n", "--1\n", "1_000\n", "0x1p3\n",
		"1e999\n", // out of range
		"1",       // no end
		"Infi\n",
	} {
		if v, _, ok := number([]byte(text), 0); ok {
			t.Errorf("%q is read as %v", text, v)
		}
	}
}

// TestNumbersAtRandom reads decimals of all lengths, and demands what strconv gives.
func TestNumbersAtRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		text := strconv.FormatUint(r.Uint64()>>r.IntN(64), 10)
		if r.IntN(2) == 0 {
			i := r.IntN(len(text) + 1)
			text = text[:i] + "." + text[i:]
		}
		if r.IntN(3) == 0 {
			text += fmt.Sprintf("e%d", r.IntN(60)-30)
		}
		if r.IntN(4) == 0 {
			text = "-" + text
		}
		want, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		if v, at, ok := number([]byte(text+"\n"), 0); !ok || at != len(text) || v != want {
			t.Fatalf("%s: %v up to %d, %t, want %v", text, v, at, ok, want)
		}
	}
}

// FuzzNumber compares numbers and timestamps with those of textparse, to the bit. What number and
// milliseconds refuse is left to textparse, and so not compared.
func FuzzNumber(f *testing.F) {
	for _, s := range []string{"1", "-1.5e-3", "NaN", "+Inf", "0x10", "1_0", "00012345678901234567890", "1e5", ".5 100", "123456789012345678", "1.5 1.25", "1e400", "\u0661", "1 -5", "1 9999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := []byte("m " + s + "\n")
		v, end, ok := number(b, 2)
		if !ok {
			return
		}
		if b[end] != ' ' && b[end] != '\n' {
			t.Fatalf("%q ends at %q", s, b[end])
		}
		for _, openMetrics := range []bool{false, true} {
			want, _, err := parsedLine(openMetrics, string(b[:end])+"\n")
			if err != nil || math.Float64bits(v) != math.Float64bits(want) {
				t.Errorf("%q, OpenMetrics %t: %x, textparse has %x, %v", b[2:end], openMetrics, math.Float64bits(v), math.Float64bits(want), err)
			}
			if b[end] == '\n' {
				continue
			}
			w := text{openMetrics: openMetrics}
			ms, at, ok := w.stamp(b, end+1)
			if !ok {
				continue
			}
			_, stamp, err := parsedLine(openMetrics, string(b[:at+1]))
			if err != nil || stamp == nil || *stamp != ms {
				t.Errorf("%q, OpenMetrics %t: timestamp %d, textparse has %v, %v", b[:at], openMetrics, ms, stamp, err)
			}
		}
	})
}

func TestMilliseconds(t *testing.T) {
	for text, want := range map[string]int64{"0\n": 0, "1700000000000\n": 1700000000000, "007\n": 7, "999999999999999999\n": 999999999999999999} {
		if ms, end, ok := milliseconds([]byte(text), 0); !ok || ms != want || end != len(text)-1 {
			t.Errorf("%q: %d up to %d, %t", text, ms, end, ok)
		}
	}
	for _, text := range []string{"", "\n", "-1\n", "1.5\n", "1 \n", "1", "1000000000000000000\n", "x\n"} {
		if ms, _, ok := milliseconds([]byte(text), 0); ok {
			t.Errorf("%q is read as %d", text, ms)
		}
	}
}

// BenchmarkNumber is of the numbers that pages have most.
func BenchmarkNumber(b *testing.B) {
	for _, text := range []string{"0", "12345", "1.7e+09", "0.123456789", "1.2345678901234567e+08", "NaN"} {
		line := []byte(strings.Repeat(" ", 8) + text + "\n")
		b.Run(text, func(b *testing.B) {
			for b.Loop() {
				if _, _, ok := number(line, 8); !ok {
					b.Fatal("not read")
				}
			}
		})
	}
}
