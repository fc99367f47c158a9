package eventpattern

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// comparison compiles what stands beside the name of a comparison.
type comparison func(argument any) (test, error)

// compileTest compiles one item of a list of a pattern: a value to be equal to,
// or an object that names a comparison.
func compileTest(item any) (test, error) {
	switch item := item.(type) {
	case []any:
		return nil, errors.New("a list within a list is not a pattern")
	case map[string]any:
		return compileComparison(item, map[string]comparison{
			"prefix":             affix(strings.HasPrefix),
			"suffix":             affix(strings.HasSuffix),
			"equals-ignore-case": ofText(equalsFold),
			"wildcard":           ofText(compileWildcard),
			"anything-but":       anythingBut,
			"numeric":            numeric,
			"exists":             exists,
			"cidr":               ofText(cidr),
		})
	default:
		return func(value any) bool { return value == item }, nil
	}
}

func compileComparison(object map[string]any, known map[string]comparison) (test, error) {
	if len(object) != 1 {
		return nil, errors.New("a comparison has exactly one name")
	}
	for name, argument := range object {
		compile := known[name]
		if compile == nil {
			return nil, fmt.Errorf("there is no comparison %s here", name)
		}
		t, err := compile(argument)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return t, nil
	}
	return nil, nil // there was one
}

// ofText is a comparison with a string.
func ofText(compile func(text string) (test, error)) comparison {
	return func(argument any) (test, error) {
		text, is := argument.(string)
		if !is {
			return nil, errors.New("must be a string")
		}
		return compile(text)
	}
}

// text makes a test of a function on strings: no other value passes.
func text(passes func(string) bool) test {
	return func(value any) bool {
		s, is := value.(string)
		return is && passes(s)
	}
}

func equalsFold(want string) (test, error) {
	return text(func(s string) bool { return strings.EqualFold(s, want) }), nil
}

// affix compares with the beginning or the end, as has does. The case may be
// left out of the comparison.
func affix(has func(s, affix string) bool) comparison {
	plain := ofText(func(want string) (test, error) {
		return text(func(s string) bool { return has(s, want) }), nil
	})
	folded := ofText(func(want string) (test, error) {
		want = foldCase(want)
		return text(func(s string) bool { return has(foldCase(s), want) }), nil
	})
	return func(argument any) (test, error) {
		if object, is := argument.(map[string]any); is {
			return compileComparison(object, map[string]comparison{"equals-ignore-case": folded})
		}
		return plain(argument)
	}
}

func foldCase(s string) string { return strings.ToLower(strings.ToUpper(s)) }

func exists(argument any) (test, error) {
	want, is := argument.(bool)
	if !is {
		return nil, errors.New("must be true or false")
	}
	return func(value any) bool { return (value != absent{}) == want }, nil
}

// cidr compares with a range of IP addresses.
func cidr(network string) (test, error) {
	prefix, err := netip.ParsePrefix(network)
	if err != nil {
		return nil, err
	}
	prefix = prefix.Masked()
	return text(func(s string) bool {
		address, err := netip.ParseAddr(s)
		return err == nil && prefix.Contains(address)
	}), nil
}

// anythingBut takes every value that there is, apart from some.
func anythingBut(argument any) (test, error) {
	var but []test
	var err error
	if object, is := argument.(map[string]any); is {
		but, err = compileButComparison(object)
	} else {
		but, err = compileButValues(argument)
	}
	if err != nil {
		return nil, err
	}
	return func(value any) bool { return value != absent{} && !passesAny(but, value) }, nil
}

func compileButComparison(object map[string]any) ([]test, error) {
	t, err := compileComparison(object, map[string]comparison{
		"prefix":             oneOrMore(affix(strings.HasPrefix)),
		"suffix":             oneOrMore(affix(strings.HasSuffix)),
		"equals-ignore-case": oneOrMore(ofText(equalsFold)),
		"wildcard":           oneOrMore(ofText(compileWildcard)),
	})
	return []test{t}, err
}

// oneOrMore lets a list of arguments stand for any of them.
func oneOrMore(one comparison) comparison {
	return func(argument any) (test, error) {
		list, is := argument.([]any)
		if !is {
			return one(argument)
		}
		tests, err := compileAll(list, one)
		return func(value any) bool { return passesAny(tests, value) }, err
	}
}

// compileButValues takes strings or numbers, not both.
func compileButValues(argument any) ([]test, error) {
	list, is := argument.([]any)
	if !is {
		list = []any{argument}
	}
	isText := func(item any) bool { _, is := item.(string); return is }
	isNumber := func(item any) bool { _, is := item.(numeral); return is }
	if !all(list, isText) && !all(list, isNumber) {
		return nil, errors.New("must be strings or numbers, all of one kind")
	}
	return compileAll(list, compileTest)
}

func all(list []any, is func(any) bool) bool {
	return !slices.ContainsFunc(list, func(item any) bool { return !is(item) })
}
