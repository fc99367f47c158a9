// Package luascript prepares scripts for Redis, which runs the whole text of a script at each call.
package luascript

import (
	"regexp"
	"strings"

	"github.com/redis/go-redis/v9"
)

// New returns the script of the sources, in their order, with the values of constants in place of
// their names. In Lua, creating a function costs more if it uses local variables of the code
// around it, and that happens at each call.
//
// A constant is a local variable in capitals that is set to numbers, texts, or sums or
// products of numbers, in a line of its own, alone or with others.
func New(sources ...string) *redis.Script {
	return redis.NewScript(inline(strings.Join(sources, "")))
}

var definition = regexp.MustCompile(`^ *local ([A-Z][A-Z0-9_]*(?:, [A-Z][A-Z0-9_]*)*) = ((?:[A-Z0-9][A-Z0-9_]*|'[^']*'|, | [*+] )+)(?: *--.*)?$`)

// inline puts constants in place of their names, and removes comments and indents. It keeps the
// line numbers, because errors of Redis name them. Every program does this at its start, so only
// the lines that may define a constant are matched with a regular expression.
func inline(source string) string {
	c := constants{}
	lines := strings.Split(source, "\n")
	for i, line := range lines {
		if name, local := strings.CutPrefix(strings.TrimLeft(line, " "), "local "); local && name != "" && isCapital(rune(name[0])) {
			lines[i] = c.define(line)
		}
	}
	for i, line := range lines {
		lines[i] = strings.TrimLeft(c.replace(line), " ")
	}
	return strings.Join(lines, "\n")
}

// constants are values by their names.
type constants map[string]string

// define takes the constants of a line and returns an empty line. It returns the line unchanged
// if it defines none.
func (c constants) define(line string) string {
	found := definition.FindStringSubmatch(line)
	if found == nil {
		return line
	}
	names, values := strings.Split(found[1], ", "), strings.Split(found[2], ", ")
	if len(names) != len(values) {
		return line
	}
	for i := range values {
		values[i] = c.replace(values[i])
		if before, _, _ := strings.Cut(values[i], "'"); strings.ContainsFunc(before, isCapital) { // a variable
			return line
		}
		if strings.ContainsAny(values[i], "*+") {
			values[i] = "(" + values[i] + ")"
		}
	}
	for i, name := range names {
		if before, known := c[name]; known && before != values[i] {
			panic("luascript: " + name + " is defined twice")
		}
		c[name] = values[i]
	}
	return ""
}

// replace puts constants in place of their names in a line, except in texts, and leaves out a
// comment.
func (c constants) replace(line string) string {
	var out strings.Builder
	for line != "" {
		if strings.HasPrefix(line, "--") {
			return strings.TrimRight(out.String(), " ")
		}
		n := textLength(line)
		if n == 0 {
			n = nameLength(line)
		}
		token := line[:max(n, 1)]
		line = line[len(token):]
		if value, known := c[token]; known {
			token = value
		}
		out.WriteString(token)
	}
	return out.String()
}

// textLength returns the length of the text in quotes at the beginning of a line, 0 for none.
func textLength(line string) int {
	if line[0] != '\'' {
		return 0
	}
	for i := 1; i < len(line); i++ {
		switch line[i] {
		case '\\':
			i++
		case '\'':
			return i + 1
		}
	}
	return 0
}

// nameLength returns the length of the name or number at the beginning of a line, 0 for none.
func nameLength(line string) int {
	n := strings.IndexFunc(line, func(r rune) bool { return r != '_' && !isCapital(r) && (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	if n < 0 {
		return len(line)
	}
	return n
}

func isCapital(r rune) bool { return 'A' <= r && r <= 'Z' }
