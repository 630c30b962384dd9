package scrape

import (
	"math"
	"strings"

	"github.com/prometheus/common/model"
)

// family is the metadata of a metric family, as the page's lines have set it so far. The texts are
// symbols of the table.
type family struct {
	name, help, unit uint32
	typ              model.MetricType
	entry            uint32 // of the table's metadata, 0 until it is needed
	iter             uint64 // table.iter when it was last seen
}

// metaLine is what a metadata line says.
type metaLine struct {
	family uint32
	kind   metaKind
	typ    model.MetricType
	text   uint32 // symbol
}

type metaKind byte

const (
	metaType metaKind = iota
	metaHelp
	metaUnit
)

// familyLife is how many pages a family's metadata is kept after its last line.
const familyLife = 10

// noEntry stands for metadata without any text or type, which gets no entry.
const noEntry = math.MaxUint32

// partOfFamily reports whether a series of this name belongs to the family (isSeriesPartOfFamily of
// prometheus/scrape).
func partOfFamily(name, family string, typ model.MetricType) bool {
	if !strings.HasPrefix(name, family) {
		return false
	}
	var suffixes []string
	switch typ {
	case model.MetricTypeCounter:
		family = strings.TrimSuffix(family, "_total")
		suffixes = []string{"_total"}
	case model.MetricTypeHistogram:
		suffixes = []string{"_bucket", "_sum", "_count"}
	case model.MetricTypeGaugeHistogram:
		suffixes = []string{"_bucket", "_gsum", "_gcount"}
	case model.MetricTypeSummary:
		suffixes = []string{"_sum", "_count"}
	case model.MetricTypeInfo:
		family = strings.TrimSuffix(family, "_info")
		suffixes = []string{"_info"}
	}
	for _, s := range suffixes {
		if cut, ok := strings.CutSuffix(name, s); ok {
			return cut == family
		}
	}
	return name == family
}
