package main

import "strings"

// examples is the end of a command's help: how to use it. An example that begins with another program stands as it is.
func examples(commands ...string) string {
	var b strings.Builder
	b.WriteString("\n\nExamples:")
	for _, c := range commands {
		b.WriteString("\n  ")
		if !strings.Contains(c, name+" ") {
			b.WriteString(name + " ")
		}
		b.WriteString(c)
	}
	return b.String()
}
