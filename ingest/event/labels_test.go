package event

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"statuscache/cache"
)

func labelPaths(t testing.TB, s string) LabelPaths {
	t.Helper()
	paths, err := ParseLabelPaths(s)
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func TestLabelsOfInputs(t *testing.T) {
	t.Parallel()
	d := Decoder{Labels: labelPaths(t, "ruleset=ruleSetId, customer=$.meta.customerId,n=n")}
	long := strings.Repeat("x", cache.MaxLabelValue)
	for _, c := range []struct {
		input string
		want  cache.Labels
	}{
		{`"{\"ruleSetId\":\"r1\",\"meta\":{\"customerId\":\"c 1\"},\"n\":1}"`, cache.Labels{"ruleset": "r1", "customer": "c 1", "n": "1"}},
		{`{"ruleSetId":"r1"}`, cache.Labels{"ruleset": "r1"}},
		{`{"n":9007199254740993}`, cache.Labels{"n": "9007199254740993"}},
		{`{"n":-1.50e10}`, cache.Labels{"n": "-1.50e10"}},
		{`{"\u006e":"x"}`, cache.Labels{"n": "x"}},
		{`{"n":"a","n":"b"}`, cache.Labels{"n": "b"}},
		{`{"n":"` + long + `"}`, cache.Labels{"n": long}},
		{`{"n":"` + long + `x"}`, nil},
		{`{"n":"ö:=,"}`, cache.Labels{"n": "ö:=,"}},
		{`{"n":true}`, nil}, {`{"n":null}`, nil}, {`{"n":["x"]}`, nil}, {`{"n":{"n":"x"}}`, nil}, {`{"n":""}`, nil},
		{`{"n":"a\nb"}`, nil}, {`{"n":"a\u0000"}`, nil}, {`{"x":{"n":"x"}}`, nil},
		{`{"meta":"x","n":"1"}`, cache.Labels{"n": "1"}},
		{`"{\"n\":\"x\""`, nil}, {`[{"n":"x"}]`, nil}, {`"n"`, nil}, {`null`, nil},
	} {
		e, err := d.Decode(event(base + `,"input":` + c.input))
		if diff := cmp.Diff(c.want, e.Labels); err != nil || diff != "" {
			t.Errorf("%.60s: %v\n%s", c.input, err, diff)
		}
	}
}

func TestLabelsLeftOut(t *testing.T) {
	t.Parallel()
	for more, want := range map[string]bool{
		`,"input":"{}"`: false, ``: true, `,"input":"","inputDetails":{"included":false}`: true,
	} {
		for _, paths := range []string{"", "a=b"} {
			e, err := (&Decoder{Labels: labelPaths(t, paths)}).Decode(event(base + more))
			if err != nil || e.LabelsLeftOut != (want && paths != "") || e.OwnerLeftOut {
				t.Errorf("%s with %q: %v, %v", more, paths, e.LabelsLeftOut, err)
			}
		}
	}
}

func TestLabelPathErrors(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"a", "a=", "=a", "a=b,", "a=b,a=c", "a=b..c", "a b=c", "a:b=c", "ö=c", "a=b,c=d,e=f,g=h,i=j", "a=$", "a=b[0]", strings.Repeat("x", 65) + "=a"} {
		if p, err := ParseLabelPaths(s); err == nil {
			t.Errorf("%q is %v", s, p)
		}
	}
	for s, n := range map[string]int{"": 0, " ": 0, "a=b": 1, "a=b, c=d.e ,f=$.g,h-1_.=i": 4} {
		if p, err := ParseLabelPaths(s); err != nil || len(p) != n {
			t.Errorf("%q is %v, %v", s, p, err)
		}
	}
}
