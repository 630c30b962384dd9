package informers

import (
	"maps"
	"slices"

	"github.com/prometheus/prometheus/util/strutil"
)

// sanitized is what discovery makes of the name of a label.
func sanitized(key string) string { return strutil.SanitizeLabelName(key) }

// distinct returns the names of labels that count for discovery, sorted: of those that have one name when sanitised, the first. Prometheus
// takes one of them at random each time.
func distinct(labels map[string]string) []string {
	keys := slices.Sorted(maps.Keys(labels))
	seen := make(map[string]bool, len(keys))
	return slices.DeleteFunc(keys, func(k string) bool {
		name := sanitized(k)
		was := seen[name]
		seen[name] = true
		return was
	})
}
