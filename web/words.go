package web

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// none is shown in place of a missing value.
const none = "–"

// before says how long ago t was.
func before(now, t time.Time) string {
	d := now.Sub(t)
	switch {
	case t.IsZero():
		return none
	case d < time.Second:
		return "just now"
	}
	return seconds(d) + " ago"
}

// seconds writes a duration with two or three digits; none for zero.
func seconds(d time.Duration) string {
	switch {
	case d <= 0:
		return none
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", max(d.Microseconds(), 1))
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.0f h", d.Hours())
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}

// thousands writes a count with separators.
func thousands(n any) string {
	digits := fmt.Sprint(n)
	var b strings.Builder
	for i, c := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteRune('\u2009') // a thin space
		}
		b.WriteRune(c)
	}
	return b.String()
}

// count writes a number and the word for the counted things.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

// clipAt bounds one value of a target on the page, in bytes.
const clipAt = 1000

// clip cuts a text that is too long, between characters.
func clip(s string) string {
	if len(s) <= clipAt {
		return s
	}
	end := clipAt
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return fmt.Sprintf("%s… (%s bytes)", s[:end], thousands(len(s)))
}

// bytesOf writes a number of bytes with its unit.
func bytesOf(n any) string {
	v, err := strconv.ParseFloat(fmt.Sprint(n), 64)
	if err != nil {
		return none
	}
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for ; v >= 1024 && i < len(units)-1; i++ {
		v /= 1024
	}
	if v >= 100 || i == 0 {
		return fmt.Sprintf("%.0f\u00a0%s", v, units[i])
	}
	return fmt.Sprintf("%.1f\u00a0%s", v, units[i])
}

// rateOf writes a number a second: whole if it is 10 or more.
func rateOf(v float64) string {
	if v >= 10 || v == 0 {
		return thousands(fmt.Sprintf("%.0f", v))
	}
	return fmt.Sprintf("%.1f", v)
}
