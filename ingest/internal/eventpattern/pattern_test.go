package eventpattern

import (
	"strings"
	"testing"
)

const sampleEvent = `{
	"source": "aws.states", "detail-type": "Change", "time": "2026-01-26T08:00:42Z",
	"resources": ["arn:aws:states:eu-west-1:0:execution:m:a", "arn:aws:states:eu-west-1:0:execution:m:b"],
	"detail": {
		"status": "SUCCEEDED", "count": 300, "ratio": 0.5, "ok": true, "error": null, "ip": "10.0.1.7", "six": "2001:db8::1",
		"file": "a/b/C.PNG", "star": "a*b", "empty": [], "list": [1, "two", [3]], "nested": {"deep": {"leaf": "x"}},
		"pairs": [{"k": "a", "v": 1}, {"k": "b", "v": 2}]
	}
}`

// matching is what patterns of the detail say of the sample.
var matching = map[string]bool{
	`{"status":["SUCCEEDED"]}`:                                         true,
	`{"status":["FAILED","SUCCEEDED"]}`:                                true,
	`{"status":["FAILED"]}`:                                            false,
	`{"status":["SUCCEEDED"],"count":[1]}`:                             false,
	`{"count":[300]}`:                                                  true,
	`{"count":[300.0]}`:                                                false, // numbers are compared as they are written
	`{"count":["300"]}`:                                                false,
	`{"ok":[true]}`:                                                    true,
	`{"ok":[false]}`:                                                   false,
	`{"ok":["true"]}`:                                                  false,
	`{"error":[null]}`:                                                 true,
	`{"none":[null]}`:                                                  false,
	`{"status":[null]}`:                                                false,
	`{"nested":{"deep":{"leaf":["x"]}}}`:                               true,
	`{"nested":{"deep":{"leaf":["y"]}}}`:                               false,
	`{"status":{"deep":["x"]}}`:                                        false,
	`{"list":["two"]}`:                                                 true,
	`{"list":[3]}`:                                                     true,
	`{"list":["three"]}`:                                               false,
	`{"pairs":{"k":["a"],"v":[1]}}`:                                    true,
	`{"pairs":{"k":["a"],"v":[2]}}`:                                    false, // both fields of one item
	`{"status":[{"prefix":"SUCC"}]}`:                                   true,
	`{"status":[{"prefix":"succ"}]}`:                                   false,
	`{"status":[{"prefix":{"equals-ignore-case":"succ"}}]}`:            true,
	`{"status":[{"prefix":"FAIL"},"SUCCEEDED"]}`:                       true,
	`{"count":[{"prefix":"3"}]}`:                                       false,
	`{"file":[{"suffix":".PNG"}]}`:                                     true,
	`{"file":[{"suffix":".png"}]}`:                                     false,
	`{"file":[{"suffix":{"equals-ignore-case":".png"}}]}`:              true,
	`{"status":[{"anything-but":"FAILED"}]}`:                           true,
	`{"status":[{"anything-but":["FAILED","SUCCEEDED"]}]}`:             false,
	`{"none":[{"anything-but":"FAILED"}]}`:                             false,
	`{"error":[{"anything-but":"FAILED"}]}`:                            true,
	`{"count":[{"anything-but":300}]}`:                                 false,
	`{"count":[{"anything-but":[1,2]}]}`:                               true,
	`{"status":[{"anything-but":{"prefix":"SUCC"}}]}`:                  false,
	`{"status":[{"anything-but":{"prefix":["A","B"]}}]}`:               true,
	`{"status":[{"anything-but":{"suffix":"ED"}}]}`:                    false,
	`{"status":[{"anything-but":{"suffix":["X","ED"]}}]}`:              false,
	`{"status":[{"anything-but":{"equals-ignore-case":"succeeded"}}]}`: false,
	`{"status":[{"anything-but":{"equals-ignore-case":["failed","aborted"]}}]}`: true,
	`{"file":[{"anything-but":{"wildcard":"*/b/*"}}]}`:                          false,
	`{"file":[{"anything-but":{"wildcard":["x*","*y"]}}]}`:                      true,
	`{"count":[{"numeric":["=",300.0]}]}`:                                       true,
	`{"count":[{"numeric":["=",3e2]}]}`:                                         true,
	`{"count":[{"numeric":[">",300]}]}`:                                         false,
	`{"count":[{"numeric":[">=",300]}]}`:                                        true,
	`{"count":[{"numeric":["<",300]}]}`:                                         false,
	`{"count":[{"numeric":["<=",300]}]}`:                                        true,
	`{"ratio":[{"numeric":[">",0,"<",1]}]}`:                                     true,
	`{"ratio":[{"numeric":[">",0.5,"<=",1]}]}`:                                  false,
	`{"status":[{"numeric":["=",300]}]}`:                                        false,
	`{"none":[{"numeric":["<",1]}]}`:                                            false,
	`{"status":[{"exists":true}]}`:                                              true,
	`{"status":[{"exists":false}]}`:                                             false,
	`{"none":[{"exists":true}]}`:                                                false,
	`{"none":[{"exists":false}]}`:                                               true,
	`{"none":{"deep":[{"exists":false}]}}`:                                      true,
	`{"error":[{"exists":true}]}`:                                               true,
	`{"empty":[{"exists":true}]}`:                                               false,
	`{"nested":[{"exists":true}]}`:                                              false, // only leaves
	`{"status":[{"equals-ignore-case":"Succeeded"}]}`:                           true,
	`{"status":[{"equals-ignore-case":"Succeed"}]}`:                             false,
	`{"file":[{"wildcard":"a/*/C.*"}]}`:                                         true,
	`{"file":[{"wildcard":"*"}]}`:                                               true,
	`{"file":[{"wildcard":"a/b/C.PNG"}]}`:                                       true,
	`{"file":[{"wildcard":"a/b"}]}`:                                             false,
	`{"file":[{"wildcard":"*b"}]}`:                                              false,
	`{"file":[{"wildcard":"a*b*b*"}]}`:                                          false,
	`{"star":[{"wildcard":"a\\*b"}]}`:                                           true,
	`{"file":[{"wildcard":"a\\*"}]}`:                                            false,
	`{"ip":[{"cidr":"10.0.0.0/16"}]}`:                                           true,
	`{"ip":[{"cidr":"10.0.0.0/24"}]}`:                                           false,
	`{"six":[{"cidr":"2001:db8::/32"}]}`:                                        true,
	`{"six":[{"cidr":"10.0.0.0/8"}]}`:                                           false,
	`{"status":[{"cidr":"10.0.0.0/8"}]}`:                                        false,
	`{"$or":[{"status":["FAILED"]},{"count":[300]}]}`:                           true,
	`{"$or":[{"status":["FAILED"]},{"count":[1]}]}`:                             false,
	`{"status":["SUCCEEDED"],"$or":[{"ok":[false]},{"ip":[{"prefix":"10."}]}]}`: true,
	`{"status":["FAILED"],"$or":[{"ok":[true]},{"ip":[{"prefix":"10."}]}]}`:     false,
}

func TestPatternsMatch(t *testing.T) {
	t.Parallel()
	event, err := Parse([]byte(sampleEvent))
	if err != nil {
		t.Fatal(err)
	}
	for detail, want := range matching {
		p, err := Compile(`{"source":["aws.states"],"detail":` + detail + `}`)
		if err != nil {
			t.Errorf("%s: %v", detail, err)
		} else if got := p.Matches(event); got != want {
			t.Errorf("%s: %v, want %v", detail, got, want)
		}
	}
}

// refused are patterns that are none.
var refused = []string{
	``, `{`, `[]`, `7`, `"x"`, `{}`, `{"a":1}`, `{"a":"x"}`, `{"a":null}`, `{"a":[]}`, `{"a":{}}`, `{"a":[[1]]}`, `{"a":["x"],"a":["y"]}`,
	`{"a":[{}]}`, `{"a":[{"prefix":"a","suffix":"b"}]}`, `{"a":[{"like":"x"}]}`,
	`{"a":[{"prefix":1}]}`, `{"a":[{"prefix":{"suffix":"x"}}]}`, `{"a":[{"suffix":["x"]}]}`,
	`{"a":[{"anything-but":[]}]}`, `{"a":[{"anything-but":true}]}`, `{"a":[{"anything-but":["x",1]}]}`, `{"a":[{"anything-but":null}]}`,
	`{"a":[{"anything-but":{"exists":true}}]}`, `{"a":[{"anything-but":{"prefix":[]}}]}`, `{"a":[{"anything-but":{"prefix":[1]}}]}`,
	`{"a":[{"numeric":[]}]}`, `{"a":[{"numeric":["="]}]}`, `{"a":[{"numeric":"="}]}`, `{"a":[{"numeric":["~",1]}]}`, `{"a":[{"numeric":["=","1"]}]}`,
	`{"a":[{"numeric":["=",5000000001]}]}`, `{"a":[{"numeric":["<",2,">",1]}]}`, `{"a":[{"numeric":[">",2,"<",1]}]}`,
	`{"a":[{"exists":"true"}]}`, `{"a":[{"equals-ignore-case":1}]}`, `{"a":[{"cidr":"10.0.0.0"}]}`, `{"a":[{"cidr":7}]}`,
	`{"a":[{"wildcard":"a**b"}]}`, `{"a":[{"wildcard":"a\\b"}]}`, `{"a":[{"wildcard":"a\\"}]}`, `{"a":[{"wildcard":1}]}`,
	`{"$or":[]}`, `{"$or":[{"a":[1]}]}`, `{"$or":{"a":[1]}}`, `{"$or":[{"a":[1]},7]}`, `{"$or":[{"a":[1]},{}]}`,
	`{"a":["` + strings.Repeat("x", maxBytes) + `"]}`,
}

func TestMalformedPatternsAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range refused {
		if _, err := Compile(text); err == nil {
			t.Errorf("taken: %.100s", text)
		}
	}
}

// FuzzPattern compiles anything and matches anything with what is a pattern:
// nothing panics, and the answer is the same twice.
func FuzzPattern(f *testing.F) {
	for detail := range matching {
		f.Add(`{"detail":`+detail+`}`, sampleEvent)
	}
	for _, text := range refused {
		f.Add(text, sampleEvent)
	}
	f.Fuzz(func(t *testing.T, text, event string) {
		p, err := Compile(text)
		if err != nil {
			return
		}
		tree, err := Parse([]byte(event))
		if err != nil {
			return
		}
		first := p.Matches(tree)
		if again := p.Matches(tree); again != first {
			t.Error("two answers")
		}
	})
}
