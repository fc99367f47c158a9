package ingest

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"statuscache/cache"
	"statuscache/cache/cachetest"
	"statuscache/cache/worklist"
	"statuscache/ingest/awstest"
	"statuscache/ingest/localaws"
	"statuscache/ingest/sqstest"
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

// TestLabelsAreLearntFromTheInputThatAnEventLeftOut asks Step Functions once, and not at all
// where labels are known or nobody reads any.
func TestLabelsAreLearntFromTheInputThatAnEventLeftOut(t *testing.T) {
	t.Parallel()
	endpoint, server := sqstest.Local(t)
	machine := server.CreateStateMachine("Pipeline", func(localaws.Attempt) localaws.Ending {
		return localaws.Ending{After: time.Hour, Status: "SUCCEEDED", Output: `{}`}
	})
	c, err := cache.Open(cache.Options{
		URL: cachetest.Redis(t).URL(), Prefix: "sc", Retention: 24 * time.Hour, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
	})
	must(t, err)
	defer func() { must(t, c.Close()) }()
	start := func(name string, labels cache.Labels) cache.ARN {
		started, err := server.StartExecution(machine, name, `{"customer":"acme"}`)
		must(t, err)
		arn, err := cache.ParseARN(started.ARN)
		must(t, err)
		must(t, c.Apply(t.Context(), []cache.Execution{{
			ARN: arn, Status: cache.Running, StartDate: started.StartDate.Truncate(time.Millisecond), Completeness: cache.Complete, Source: cache.FromEvent,
			Labels: labels, LabelsLeftOut: true,
		}})[0].Err)
		return arn
	}
	unknown, known := start("unknown", nil), start("known", cache.Labels{"customer": "other"})
	lists := worklist.New(c.DB(), nil)
	inputs := Decoder{Labels: labelPaths(t, "customer=customer")}
	metrics := prometheus.NewRegistry()
	h := NewHydrator(HydratorOptions{
		Cache: c, Worklists: lists, States: NewStepFunctions(awstest.Config(t, endpoint), inputs, metrics), Budget: worklist.NewBudget(c.DB(), "hydrate", 20),
		Deadline: time.Minute, Labels: true, Log: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- h.Run(ctx) }()
	cachetest.Eventually(t, "the label is learnt", func() bool {
		r, err := c.Get(t.Context(), unknown)
		return err == nil && r.Labels()["customer"] == "acme"
	})
	cancel()
	must(t, <-ended)
	if r, err := c.Get(t.Context(), known); err != nil || r.Labels()["customer"] != "other" {
		t.Errorf("%+v, %v", r, err)
	}
	families, err := metrics.Gather()
	must(t, err)
	calls := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			calls += m.GetCounter().GetValue()
		}
	}
	if calls != 1 {
		t.Errorf("%v calls", calls)
	}
}
