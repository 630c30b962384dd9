package peers

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// exported is a value of an export: a number, null for NaN, or a string for an infinity.
type exported float64

func (e *exported) UnmarshalJSON(text []byte) error {
	s := strings.Trim(string(text), `"`)
	if s == "null" {
		*e = exported(math.NaN())
		return nil
	}
	v, err := strconv.ParseFloat(s, 64)
	*e = exported(v)
	return err
}

// pair is [seconds, "value"] or [seconds, {histogram}].
type pair struct {
	time      float64
	value     float64
	histogram json.RawMessage
}

func (p *pair) UnmarshalJSON(text []byte) error {
	var value json.RawMessage
	if err := json.Unmarshal(text, &[]any{&p.time, &value}); err != nil {
		return err
	}
	if len(value) > 0 && value[0] == '{' {
		p.histogram = value
		return nil
	}
	var s string
	if err := json.Unmarshal(value, &s); err != nil {
		return err
	}
	var err error
	p.value, err = strconv.ParseFloat(s, 64)
	return err
}

func (p pair) point() Point {
	return Point{Time: int64(math.Round(p.time * 1000)), Value: p.value, Histogram: p.histogram}
}

// seconds writes a time as the APIs take it, to the millisecond.
func seconds(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }
