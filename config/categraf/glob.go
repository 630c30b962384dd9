package categraf

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// alternatives is a regular expression for what one of the globs fits, each with a suffix.
func alternatives(globs []string, suffix string) (string, error) {
	var out []string
	for _, g := range globs {
		expr, err := ofGlob(g)
		if err != nil {
			return "", fmt.Errorf("%q: %w", g, err)
		}
		if suffix != "" && strings.HasSuffix(g, "*") {
			out = append(out, expr)
			continue
		}
		out = append(out, expr+suffix)
	}
	return strings.Join(out, "|"), nil
}

// ofGlob is the regular expression of a glob with *, ?, [abc], [!abc] and {a,b}.
func ofGlob(glob string) (string, error) {
	var b strings.Builder
	depth := 0
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; {
		case c == '*':
			b.WriteString(".*")
		case c == '?':
			b.WriteByte('.')
		case c == '[':
			end := strings.IndexByte(glob[i:], ']')
			if end < 0 {
				return "", fmt.Errorf("the [ at byte %d has no ]", i)
			}
			class := glob[i+1 : i+end]
			if negated, ok := strings.CutPrefix(class, "!"); ok {
				class = "^" + negated
			}
			b.WriteString("[" + class + "]")
			i += end
		case c == '{':
			depth++
			b.WriteByte('(')
		case c == '}' && depth > 0:
			depth--
			b.WriteByte(')')
		case c == ',' && depth > 0:
			b.WriteByte('|')
		case c == '\\' && i+1 < len(glob):
			i++
			b.WriteString(regexp.QuoteMeta(glob[i : i+1]))
		default:
			b.WriteString(regexp.QuoteMeta(glob[i : i+1]))
		}
	}
	_, err := regexp.Compile(b.String())
	return b.String(), err
}

// literals is a regular expression for one of some texts.
func literals(texts []string) string {
	var out []string
	for _, t := range slices.Sorted(slices.Values(texts)) {
		out = append(out, regexp.QuoteMeta(t))
	}
	return strings.Join(out, "|")
}
