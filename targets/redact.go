package targets

import (
	"slices"
	"strings"
)

// Redact makes one line of a message, and takes secrets out of it, those that are longer first: of one that begins with another nothing
// is to be left.
func Redact(message string, secrets []string) string {
	longest := slices.SortedFunc(slices.Values(secrets), func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, s := range longest {
		if s != "" {
			pairs = append(pairs, s, "<secret>")
		}
	}
	return strings.Join(strings.Fields(strings.NewReplacer(pairs...).Replace(message)), " ")
}
