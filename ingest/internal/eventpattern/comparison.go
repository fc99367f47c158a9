package eventpattern

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// comparison compiles the argument of a named comparison.
type comparison func(argument any) (test, error)

// compileTest compiles one item of a list in a pattern: a value that must be equal, or an
// object that names a comparison.
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
		return nil, errors.New("a comparison must have exactly one name")
	}
	for name, argument := range object {
		compile := known[name]
		if compile == nil {
			return nil, fmt.Errorf("the comparison %s is not allowed here", name)
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

// text turns a function on strings into a test. Other values do not pass.
func text(passes func(string) bool) test {
	return func(value any) bool {
		s, is := value.(string)
		return is && passes(s)
	}
}

func equalsFold(want string) (test, error) {
	return text(func(s string) bool { return strings.EqualFold(s, want) }), nil
}

// affix compares with the beginning or the end, with the function has. The comparison may
// ignore the case.
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

// anythingBut accepts every existing value except the given ones.
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

// oneOrMore accepts a list of arguments as alternatives.
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

// compileButValues accepts strings or numbers, but not both.
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
