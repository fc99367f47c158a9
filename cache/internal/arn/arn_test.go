package arn

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

func TestParse(t *testing.T) {
	t.Parallel()
	const head = "arn:aws:states:eu-west-1:123456789012:"
	for _, test := range []struct {
		text, stateMachine, name string
	}{
		{head + "execution:Pipeline:abc-123", head + "stateMachine:Pipeline", "abc-123"},
		{head + "execution:Pipeline/Map:child", head + "stateMachine:Pipeline/Map", "child"},
		{head + "express:Pipeline:name:1f2e", head + "stateMachine:Pipeline", "name:1f2e"},
		{head + "express:Pipeline/Map:name:1f2e", head + "stateMachine:Pipeline/Map", "name:1f2e"},
		{"arn:aws-us-gov:states:us-gov-west-1:000000000000:execution:m:n", "arn:aws-us-gov:states:us-gov-west-1:000000000000:stateMachine:m", "n"},
		{head + "execution:Größe:名前", head + "stateMachine:Größe", "名前"},
		{head + "execution:m:" + strings.Repeat("名", 80), head + "stateMachine:m", strings.Repeat("名", 80)},
		{head + "execution:m:n.(1)_=+'@!", head + "stateMachine:m", "n.(1)_=+'@!"},
		{head + "execution:m:\uFFFD", head + "stateMachine:m", "\uFFFD"},
	} {
		arn, err := Parse(test.text)
		if err != nil {
			t.Errorf("%q: %v", test.text, err)
			continue
		}
		if string(arn) != test.text || arn.StateMachine() != test.stateMachine || arn.Name() != test.name {
			t.Errorf("%q: %q of %q", arn, arn.Name(), arn.StateMachine())
		}
		if escaped(t, test.text) {
			t.Errorf("%q is escaped in JSON", test.text)
		}
	}
}

// escaped reports whether text has characters that a JSON string escapes.
func escaped(t *testing.T, text string) bool {
	quoted, err := jsontext.AppendQuote(nil, text)
	if err != nil {
		t.Fatal(err)
	}
	return string(quoted) != `"`+text+`"`
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	const head = "arn:aws:states:eu-west-1:123456789012:"
	for what, text := range map[string]string{
		"nothing":                      "",
		"no ARN":                       "secret",
		"another partition":            "arn:azure:states:eu-west-1:123456789012:execution:m:n",
		"a partition with digits":      "arn:aws2:states:eu-west-1:123456789012:execution:m:n",
		"upper case":                   "ARN:aws:states:eu-west-1:123456789012:execution:m:n",
		"another service":              "arn:aws:lambda:eu-west-1:123456789012:execution:m:n",
		"no region":                    "arn:aws:states::123456789012:execution:m:n",
		"a long region":                "arn:aws:states:" + strings.Repeat("a", 33) + ":123456789012:execution:m:n",
		"a short account":              "arn:aws:states:eu-west-1:12345678901:execution:m:n",
		"an account with other digits": "arn:aws:states:eu-west-1:12345678901٢:execution:m:n",
		"a state machine":              head + "stateMachine:m",
		"another type":                 head + "stateMachine:m:n",
		"a type in upper case":         head + "Execution:m:n",
		"no name":                      head + "execution:m",
		"an empty name":                head + "execution:m:",
		"an empty machine":             head + "execution::n",
		"an empty label":               head + "execution:m/:n",
		"two labels":                   head + "execution:m/a/b:n",
		"a slash in the name":          head + "execution:m:a/b",
		"a colon in the name":          head + "execution:m:a:b",
		"Express without a run":        head + "express:m:n",
		"Express with two runs":        head + "express:m:n:a:b",
		"a name of 81":                 head + "execution:m:" + strings.Repeat("n", 81),
		"a name of 81 wide characters": head + "execution:m:" + strings.Repeat("名", 81),
		"white space":                  head + "execution:m:a b",
		"wide white space":             head + "execution:m:a\u3000b",
		"a line separator":             head + "execution:m:a\u2028b",
		"NUL":                          head + "execution:m:a\x00b",
		"a line feed":                  head + "execution:m:n\n",
		"DEL":                          head + "execution:m:a\x7fb",
		"a high control":               head + "execution:m:a\u0085b",
		"text that is not UTF-8":       head + "execution:m:a\xffb",
		"percent encoding":             head + "execution:m:a%2Fb",
		"braces, which are hash tags":  head + "execution:m:{1}",
		"too long altogether":          head + "execution:" + strings.Repeat("\U0001F600", 80) + "/" + strings.Repeat("\U0001F600", 80) + ":" + strings.Repeat("\U0001F600", 80) + strings.Repeat("x", 200),
	} {
		_, err := Parse(text)
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		} else if len(text) > 5 && strings.Contains(err.Error(), text) {
			t.Errorf("%s: the error quotes the text", what)
		}
	}
	for _, mark := range "<>{}[]?*\"#%\\^|~`$&,;" {
		if _, err := Parse(head + "execution:m:a" + string(mark)); err == nil {
			t.Errorf("%q is accepted in a name", mark)
		}
	}
}

// pipeline is how the ARNs of a state machine's executions begin.
const pipeline = "arn:aws:states:eu-west-1:123456789012:execution:Pipeline:"

func TestBelongsTo(t *testing.T) {
	t.Parallel()
	const machine = "arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline"
	for text, want := range map[string]bool{
		pipeline + "n": true,
		"arn:aws:states:eu-west-1:123456789012:execution:Pipeline/Map:n":   true,
		"arn:aws:states:eu-west-1:123456789012:express:Pipeline:n:1":       true,
		"arn:aws:states:eu-west-1:123456789012:execution:Pipeline2:n":      false,
		"arn:aws:states:eu-west-1:123456789012:execution:Pipelin:n":        false,
		"arn:aws:states:eu-west-1:999999999999:execution:Pipeline:n":       false,
		"arn:aws:states:eu-central-1:123456789012:execution:Pipeline:n":    false,
		"arn:aws-cn:states:eu-west-1:123456789012:execution:Pipeline:n":    false,
		"arn:aws:states:eu-west-1:123456789012:execution:Other:Pipeline":   false,
		"arn:aws:states:eu-west-1:123456789012:execution:Pipeline-x/M:n":   false,
		"arn:aws:states:eu-west-1:123456789012:execution:Other/Pipeline:n": false,
	} {
		arn, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := arn.BelongsTo(machine); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		pipeline + "abc", "arn:aws:states:eu-west-1:123456789012:express:m/l:n:1",
		"arn:aws:states:eu-west-1:123456789012:execution:m:\u2028", "arn::::::", strings.Repeat(":", 40), "\xff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		arn, err := Parse(text)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatalf("%v", err)
			}
			return
		}
		if escaped(t, text) {
			t.Fatalf("%q is escaped in JSON, but answers contain ARNs as they are", text)
		}
		if string(arn) != text || !utf8.ValidString(text) || strings.ContainsAny(text, " \t\r\n{}%\x00") {
			t.Fatalf("%q became %q", text, arn)
		}
		head, resource, found := strings.Cut(arn.StateMachine(), "stateMachine:")
		express, execution := head+"express:"+resource+":"+arn.Name(), head+"execution:"+resource+":"+arn.Name()
		if !found || text != express && text != execution {
			t.Fatalf("the parts of %q do not make it again: %q, %q", text, arn.StateMachine(), arn.Name())
		}
		if !arn.BelongsTo(arn.StateMachine()) {
			t.Fatalf("%q does not belong to its own state machine", text)
		}
	})
}
