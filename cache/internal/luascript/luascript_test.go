package luascript

import (
	"strings"
	"testing"
)

func TestConstantsTakeThePlaceOfTheirNames(t *testing.T) {
	for name, each := range map[string]struct{ source, text string }{
		"a number":                     {"local A = 3\nreturn A", "\nreturn 3"},
		"a text":                       {"local A_B = '\\0x'\nreturn A_B .. 'A_B'", "\nreturn '\\0x' .. 'A_B'"},
		"several":                      {"local A, B = 'a', 2\nreturn A .. B", "\nreturn 'a' .. 2"},
		"of others":                    {"local A = 3\nlocal B = 2 * A + 1\nreturn B", "\n\nreturn (2 * 3 + 1)"},
		"inside a block":               {"do\n  local A = 3 -- days\n  f(A)\nend", "do\n\nf(3)\nend"},
		"a part of a name":             {"local A = 3\nreturn A_B, BA, x.a", "\nreturn A_B, BA, x.a"},
		"global variables":             {"local KEYS, ARGV = KEYS, ARGV\nreturn KEYS[1]", "local KEYS, ARGV = KEYS, ARGV\nreturn KEYS[1]"},
		"a variable":                   {"local a = 3\nreturn a", "local a = 3\nreturn a"},
		"a comment":                    {"-- It's A\nlocal A = 1\nreturn A -- 'A'", "\n\nreturn 1"},
		"a comment's beginning quoted": {"local A = 1\nreturn '--', A, 'it\\'s A'", "\nreturn '--', 1, 'it\\'s A'"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := inline(each.source); got != each.text {
				t.Errorf("%q becomes %q, not %q", each.source, got, each.text)
			}
			if lines := strings.Count(each.source, "\n"); strings.Count(inline(each.source), "\n") != lines {
				t.Error("lines have other numbers")
			}
		})
	}
}

func TestAConstantHasOneValue(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("two values of one constant are accepted")
		}
	}()
	New("local A = 1\n", "local A = 2\n")
}
