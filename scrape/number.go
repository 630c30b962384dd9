package scrape

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"unsafe"

	"github.com/prometheus/prometheus/model/value"
)

// powers are the powers of ten that a float64 holds exactly.
var powers = [...]float64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// number reads the number from b[i] up to a blank or a line break, and returns the place of that
// byte as end. The value is the same as textparse's, to the bit: a decimal of up to 15 digits times
// a power of ten up to 22 is exact in one operation, and strconv does the rest. If ok is false, the
// line is left to textparse, which says what is wrong.
func number(b []byte, i int) (v float64, end int, ok bool) {
	start := i
	if i < len(b) && (b[i] == '-' || b[i] == '+') {
		i++
	}
	var mantissa uint64
	digits, scale := 0, 0
	for ; i < len(b) && b[i]-'0' < 10; i++ {
		mantissa = 10*mantissa + uint64(b[i]-'0')
		digits++
	}
	if i < len(b) && b[i] == '.' {
		point := i
		for i++; i < len(b) && b[i]-'0' < 10; i++ {
			mantissa = 10*mantissa + uint64(b[i]-'0')
			digits++
		}
		scale = point + 1 - i
	}
	if digits == 0 || digits > 15 {
		return slowNumber(b, start, i)
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		j, sign := i+1, 1
		if j < len(b) && (b[j] == '-' || b[j] == '+') {
			if b[j] == '-' {
				sign = -1
			}
			j++
		}
		exp, first := 0, j
		for ; j < len(b) && b[j]-'0' < 10 && j < first+3; j++ {
			exp = 10*exp + int(b[j]-'0')
		}
		if j == first {
			return 0, 0, false
		}
		scale += sign * exp
		i = j
	}
	if scale < -22 || scale > 22 || i >= len(b) || b[i] != ' ' && b[i] != '\n' {
		return slowNumber(b, start, i)
	}
	v = float64(mantissa)
	if scale < 0 {
		v /= powers[-scale]
	} else {
		v *= powers[scale]
	}
	if b[start] == '-' {
		v = -v
	}
	return v, i, true
}

// slowNumber reads the number that starts at b[start]. There is no blank in b[start:i].
func slowNumber(b []byte, start, i int) (v float64, end int, ok bool) {
	for i < len(b) && b[i] != ' ' && b[i] != '\n' {
		i++
	}
	if i == start || i == len(b) || b[start] == '{' || b[start] == '\t' {
		return 0, 0, false
	}
	v, err := parseFloat(b[start:i])
	return v, i, err == nil
}

// parseFloat reads a float as textparse does, which refuses some forms that strconv reads.
func parseFloat(b []byte) (float64, error) {
	s := unsafe.String(unsafe.SliceData(b), len(b))
	if strings.ContainsAny(s, "pP_\t{") {
		return 0, errors.New("unsupported character in float")
	}
	v, err := strconv.ParseFloat(s, 64)
	if math.IsNaN(v) {
		v = math.Float64frombits(value.NormalNaN)
	}
	return v, err
}

// milliseconds reads the integer timestamp that starts at b[i] and ends before a line break.
func milliseconds(b []byte, i int) (ms int64, end int, ok bool) {
	start := i
	for ; i < len(b) && b[i]-'0' < 10; i++ {
		ms = 10*ms + int64(b[i]-'0')
	}
	return ms, i, i > start && i-start <= 18 && i < len(b) && b[i] == '\n'
}
