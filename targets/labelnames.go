package targets

import (
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/util/strutil"
)

// DiscoveryName returns the name that discovery gives a label of an object.
func DiscoveryName(key string) string {
	if !ascii(key) {
		return strutil.SanitizeLabelName(key)
	}
	return strings.Map(func(r rune) rune { return rune(plainByte(byte(r))) }, key)
}

// DistinctLabels returns the names of the labels that discovery uses, sorted. Of two that collide it uses the first.
func DistinctLabels(labels map[string]string) []string {
	keys := slices.Sorted(maps.Keys(labels))
	seen := make(map[string]bool, len(keys))
	return slices.DeleteFunc(keys, func(k string) bool {
		name := DiscoveryName(k)
		was := seen[name]
		seen[name] = true
		return was
	})
}

// NamesCollide reports whether two names of labels become the same in discovery.
func NamesCollide(a, b string) bool {
	if len(a) == len(b) {
		for i := range len(a) {
			if x, y := plainByte(a[i]), plainByte(b[i]); x != y && x < 0x80 && y < 0x80 {
				return false
			}
		}
		return ascii(a) && ascii(b) || DiscoveryName(a) == DiscoveryName(b)
	}
	return !ascii(a) && DiscoveryName(a) == DiscoveryName(b) || !ascii(b) && DiscoveryName(a) == DiscoveryName(b)
}

// plainByte returns what a byte of a name becomes; bytes outside ASCII are left as they are.
func plainByte(c byte) byte {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c >= 0x80:
		return c
	}
	return '_'
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
