// Package luascript prepares scripts for Redis, which runs the whole text of a script at each call.
package luascript

import (
	"regexp"
	"strings"

	"github.com/redis/go-redis/v9"
)

// New returns the script of sources in their order, with their constants in place of the names:
// a function of Lua that uses a local of the text around it costs more to make, at each call.
//
// A constant is a local variable in capitals that is set to numbers, texts, or sums or
// products of numbers, in a line of its own, alone or with others.
func New(sources ...string) *redis.Script {
	return redis.NewScript(inline(strings.Join(sources, "")))
}

var (
	definition = regexp.MustCompile(`(?m)^ *local ([A-Z][A-Z0-9_]*(?:, [A-Z][A-Z0-9_]*)*) = ((?:[A-Z0-9][A-Z0-9_]*|'[^']*'|, | [*+] )+)(?: *--.*)?$`)
	// A text, a comment, or a name in capitals.
	token    = regexp.MustCompile(`'(?:[^'\\\n]|\\.)*'| *--[^\n]*|\b[A-Z][A-Z0-9_]*\b`)
	variable = regexp.MustCompile(`^[^']*[A-Z]`)
	indent   = regexp.MustCompile(`(?m)^ +`)
)

// inline puts constants in place of their names. Line numbers stay, so that errors of Redis can
// be found; comments and indents go.
func inline(source string) string {
	c := constants{}
	source = definition.ReplaceAllStringFunc(source, c.define)
	return indent.ReplaceAllString(c.replace(source), "")
}

// constants are values by their names.
type constants map[string]string

// define takes the constants of a line and returns an empty line. It returns the line unchanged
// if it defines none.
func (c constants) define(line string) string {
	found := definition.FindStringSubmatch(line)
	names, values := strings.Split(found[1], ", "), strings.Split(found[2], ", ")
	if len(names) != len(values) {
		return line
	}
	for i := range values {
		values[i] = c.replace(values[i])
		if variable.MatchString(values[i]) {
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

func (c constants) replace(text string) string {
	return token.ReplaceAllStringFunc(text, func(found string) string {
		if value, known := c[found]; known {
			return value
		}
		if strings.HasPrefix(strings.TrimLeft(found, " "), "--") {
			return ""
		}
		return found
	})
}
