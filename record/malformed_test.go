package record

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
)

// record writes a record of numbers (int is a uvarint, int64 a varint), byte as it is, float64 as f64, and strings with their lengths.
func record(parts ...any) (out []byte) {
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			out = binary.AppendUvarint(out, uint64(p))
		case int64:
			out = binary.AppendVarint(out, p)
		case byte:
			out = append(out, p)
		case float64:
			out = binary.LittleEndian.AppendUint64(out, math.Float64bits(p))
		case string:
			out = appendBytes(out, []byte(p))
		case []any:
			out = append(out, record(p...)...)
		default:
			panic(p)
		}
	}
	return out
}

// Parts of a table with the symbols a and b, a shape of the name a, no metadata, and one row a="b" of value 1. Cases of
// TestMalformedTable replace one of them.
var (
	tableID      = []any{7, 1, 0}
	tableSymbols = []any{0, 2, "a", "b"}
	tableShapes  = []any{0, 1, 1, 1}
	tableMetas   = []any{0, 0}
	tableRows    = []any{0, 1, "\x01\x00\x02", 1.0}
	tableRowMeta = []any{1, 0}
	tableChanges = []any{0, 0}
)

// TestMalformedTable has the possible faults of each part of a table record. Such a record is refused, and the table that was known
// before is forgotten.
func TestMalformedTable(t *testing.T) {
	valid := [][]any{tableID, tableSymbols, tableShapes, tableMetas, tableRows, tableRowMeta, tableChanges}
	const id, symbols, shapes, metas, rows, rowMeta, changes = 0, 1, 2, 3, 4, 5, 6
	write := func(parts [][]any) (out []byte) {
		for _, p := range parts {
			out = append(out, record(p...)...)
		}
		return out
	}
	whole := write(valid)
	var ts Tables
	if table, err := ts.Apply(whole); err != nil || table.String() != "table 7 generation 1" || ts.Get(7) != table {
		t.Fatalf("the record that is well formed gives %v (%v)", table, err)
	}
	for n := range whole {
		if _, err := ts.Apply(whole[:n]); !errors.Is(err, errMalformed) {
			t.Errorf("the first %d bytes: error is %v", n, err)
		}
	}
	for name, c := range map[string]struct {
		part int
		is   []any
		want string
	}{
		"a symbol that is too long":       {symbols, []any{0, 1, 1000, byte('a')}, "string of 1000 bytes where "},
		"more symbols than bytes":         {symbols, []any{0, 1 << 40}, "1099511627776 items where "},
		"symbols in a whole table":        {symbols, []any{0, 0}, "reference to 1 of 1"},
		"a name that is no symbol":        {shapes, []any{0, 1, 1, 3}, "reference to 3 of 3"},
		"a shape longer than the record":  {shapes, []any{0, 1, 1 << 20}, "1048576 items where "},
		"a type of metric that is none":   {metas, []any{0, 1, byte(200), 0, 0, 0}, "metric type 200"},
		"help that is no symbol":          {metas, []any{0, 1, byte(1), 0, 9, 0}, "reference to 9 of 3"},
		"a row of a shape that is none":   {rows, []any{0, 1, "\x01\x01\x02", 1.0}, "reference to 1 of 1"},
		"a row of a value that is none":   {rows, []any{0, 1, "\x01\x00\x03", 1.0}, "reference to 3 of 3"},
		"a row of unknown kind":           {rows, []any{0, 1, "\x07\x00\x02", 1.0}, "row of unknown kind"},
		"a row lost on disk":              {rows, []any{0, 1, "\x02\x00\x02", 1.0}, "row of unknown kind"},
		"a first row like none":           {rows, []any{0, 1, "\x00\x01\x02", 1.0}, "row like the one before, which has no labels"},
		"a mask of more labels":           {rows, []any{0, 2, "\x01\x00\x02\x00\x02\x01", 1.0, 1.0}, "mask of a row names label 1 of 1"},
		"fewer rows than said":            {rows, []any{0, 2, "\x01\x00\x02", 1.0, 1.0}, "cut short"},
		"more rows than said":             {rows, []any{0, 1, "\x01\x00\x02\x01\x00\x02", 1.0}, "3 bytes too many"},
		"metadata of more rows":           {rowMeta, []any{2, 0}, "metadata of 2 rows where 1 are left"},
		"metadata of no rows":             {rowMeta, []any{0, 0}, "metadata of 0 rows where 1 are left"},
		"metadata that is none":           {rowMeta, []any{1, 1}, "reference to 1 of 1"},
		"changed metadata of no row":      {changes, []any{1, 1, 0, 0}, "reference to 1 of 1"},
		"a start timestamp of no row":     {changes, []any{0, 1, 1, int64(5)}, "reference to 1 of 1"},
		"bytes after the end":             {changes, []any{0, 0, byte(0)}, "1 bytes too many"},
		"a number of more than 64 bits":   {id, []any{7, 1, strings.Repeat("\xff", 11)}, ""},
		"symbols that go on too far away": {symbols, []any{maxGap + 1, 0}, "unknown table"},
	} {
		t.Run(name, func(t *testing.T) {
			var ts Tables
			if _, err := ts.Apply(whole); err != nil {
				t.Fatal(err)
			}
			parts := append([][]any{}, valid...)
			parts[c.part] = c.is
			_, err := ts.Apply(write(parts))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %s", err, c.want)
			}
			if errors.Is(err, errMalformed) && c.part != id && ts.Get(7) != nil {
				t.Error("the table is known after a record of it that is malformed")
			}
		})
	}
}

// TestPartOfUnknownTable has parts that cannot be appended to anything.
func TestPartOfUnknownTable(t *testing.T) {
	w := goldenTable()
	full := w.AppendFull(nil, nil, nil)
	w.Add(labels.FromStrings("a", "b"), 1)
	delta := w.AppendDelta(nil)
	var ts Tables
	if _, err := ts.Apply(delta); !errors.Is(err, ErrUnknownTable) {
		t.Errorf("without the table: %v", err)
	}
	must[*Table](t)(ts.Apply(full))
	must[*Table](t)(ts.Apply(delta))
	if _, err := ts.Apply(delta); !errors.Is(err, ErrUnknownTable) {
		t.Errorf("the second time: %v", err)
	}
	if got := ts.Get(3); got == nil || got.Len() != w.Len() {
		t.Errorf("the rows that are there went: %v", got)
	}
	other := w.Rebuild(func(uint32) bool { return true })
	other.AppendFull(nil, nil, nil)
	other.Add(labels.FromStrings("a", "c"), 1)
	if _, err := ts.Apply(other.AppendDelta(nil)); !errors.Is(err, ErrUnknownTable) {
		t.Errorf("of another generation: %v", err)
	}
}

// TestMalformedScrape has what may be wrong with a scrape record of a table of three rows.
func TestMalformedScrape(t *testing.T) {
	head := []any{3, 1, 0, 3, int64(1000)}
	for name, c := range map[string]struct {
		rest []any
		want string
	}{
		"well formed":                    {[]any{byte(0), byte(0)}, ""},
		"no values":                      {[]any{byte(0)}, "3 rows in 0 bytes"},
		"bytes after the end":            {[]any{byte(0), byte(0), byte(9)}, "1 bytes too many"},
		"a row above the last":           {[]any{byte(flagSparse), byte(0b1001), byte(0)}, "presence of rows above 3"},
		"no difference":                  {[]any{byte(0), byte(codeInteger)}, "cut short"},
		"an XOR of nine bytes":           {[]any{byte(0), byte(codeXOR), byte(0x09)}, "0 zero bytes and 9 others in a value"},
		"an XOR of no bytes":             {[]any{byte(0), byte(codeXOR), byte(0x80)}, "8 zero bytes and 0 others in a value"},
		"an XOR that is cut short":       {[]any{byte(0), byte(codeXOR), byte(0x08), byte(1)}, "cut short"},
		"fewer timestamps than values":   {[]any{byte(flagTimes), byte(0), int64(1), int64(1)}, "cut short"},
		"an irregular entry of no kind":  {[]any{byte(flagIrregular), byte(0), 1, byte(9), 0, int64(0), byte(0)}, "irregular entry of kind 9"},
		"an irregular entry of no row":   {[]any{byte(flagIrregular), byte(0), 1, byte(Sample), 3, int64(0), 1.0, int64(0)}, "reference to 3 of 3"},
		"more irregular entries":         {[]any{byte(flagIrregular), byte(0), 9}, "9 items where 0 bytes are left"},
		"a histogram that is cut short":  {[]any{byte(flagIrregular), byte(0), 1, byte(Histogram), 0, int64(0), int64(0), 9, byte(1)}, "string of 9 bytes where 1 are left"},
		"an exemplar with a lonely name": {[]any{byte(flagIrregular), byte(0), 1, byte(Exemplar), 0, int64(0), 1.0, 1, "trace_id"}, "exemplar with 1 strings for labels"},
	} {
		t.Run(name, func(t *testing.T) {
			var ts Tables
			must[*Table](t)(ts.Apply(goldenTable().AppendFull(nil, nil, nil)))
			var s Scrape
			_, missing, err := ts.Scrape(record(append(head[:len(head):len(head)], c.rest...)...), &s)
			if c.want == "" && (err != nil || missing != 0 || s.Samples() != 3) {
				t.Errorf("%d samples, %d missing: %v", s.Samples(), missing, err)
			}
			if c.want != "" && (!errors.Is(err, errMalformed) || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error is %v, want %s", err, c.want)
			}
		})
	}
	for name, c := range map[string]struct {
		record  []byte
		want    error
		message string
	}{
		"cut short":               {record(3, 1), errMalformed, "cut short"},
		"of another table":        {record(4, 1, 0, 3, int64(0), byte(0), byte(0)), ErrUnknownTable, "scrape of table 4 generation 1"},
		"of another generation":   {record(3, 2, 0, 3, int64(0), byte(0), byte(0)), ErrUnknownTable, "scrape of table 3 generation 2"},
		"of fewer rows":           {record(3, 1, 0, 2, int64(0), byte(0), byte(0)), errMalformed, "2 rows of a table of 3"},
		"of more rows than bytes": {record(3, 1, 0, 1<<30, int64(0), byte(0), byte(0)), errMalformed, "1073741824 rows in 1 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			var ts Tables
			must[*Table](t)(ts.Apply(goldenTable().AppendFull(nil, nil, nil)))
			var s Scrape
			if _, _, err := ts.Scrape(c.record, &s); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.message) {
				t.Errorf("error is %v, want %s", err, c.message)
			}
		})
	}
}
