package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v4"
)

// interval is the distance of two scrapes in seconds.
const interval = 30

// recording is what was scraped of one process, in the order of time.
type recording struct {
	series map[string][]string // the value of each scrape, as promtool takes it
	last   map[string]stamp
	length int
}

// stamp is a time that a process reported, and how far it was moved.
type stamp struct{ reported, moved float64 }

// ruleTest is a test of promtool.
type ruleTest struct {
	Name        string `yaml:"name"`
	Interval    string `yaml:"interval"`
	InputSeries []struct {
		Series string `yaml:"series"`
		Values string `yaml:"values"`
	} `yaml:"input_series"`
	Expressions []expression `yaml:"promql_expr_test"`
}

type expression struct {
	Expr    string   `yaml:"expr"`
	Time    string   `yaml:"eval_time"`
	Samples []sample `yaml:"exp_samples"`
}

type sample struct {
	Labels string `yaml:"labels"`
	Value  int    `yaml:"value"`
}

// ruleTests makes a test for promtool from each folder of scrapes: the expected alerts fire at the
// end, and nothing fires before the fault.
func ruleTests(root string, rules []string) ([]byte, error) {
	folders, err := filepath.Glob(filepath.Join(root, "*", "expected"))
	if err != nil || len(folders) == 0 {
		return nil, fmt.Errorf("there are no scrapes in %s: %w", root, err)
	}
	file := struct {
		Rules    []string   `yaml:"rule_files"`
		Interval string     `yaml:"evaluation_interval"`
		Tests    []ruleTest `yaml:"tests"`
	}{Interval: fmt.Sprint(interval, "s")}
	for _, r := range rules {
		path, err := filepath.Abs(r)
		if err != nil {
			return nil, err
		}
		file.Rules = append(file.Rules, path)
	}
	for _, expected := range folders {
		test, err := ruleTestOf(filepath.Dir(expected))
		if err != nil {
			return nil, err
		}
		file.Tests = append(file.Tests, test)
	}
	return yaml.Marshal(file)
}

func ruleTestOf(folder string) (ruleTest, error) {
	test := ruleTest{Name: filepath.Base(folder), Interval: fmt.Sprint(interval, "s")}
	text, err := os.ReadFile(filepath.Join(folder, "expected"))
	if err != nil {
		return test, err
	}
	words := strings.Fields(string(text))
	begun, err := strconv.Atoi(words[0])
	if err != nil {
		return test, fmt.Errorf("%s: %w", folder, err)
	}
	r, err := record(folder)
	if err != nil {
		return test, fmt.Errorf("%s: %w", folder, err)
	}
	for name, values := range r.series {
		test.InputSeries = append(test.InputSeries, struct {
			Series string `yaml:"series"`
			Values string `yaml:"values"`
		}{name, strings.Join(values, " ")})
	}
	const fired = `group by (alertname) (count_over_time(ALERTS{alertstate="firing"%s}[1d]))`
	end := fmt.Sprint((r.length-1)*interval, "s")
	alerts := words[1:]
	if len(alerts) == 0 {
		test.Expressions = []expression{{Expr: fmt.Sprintf(fired, ""), Time: end}}
		return test, nil
	}
	if begun > 0 {
		test.Expressions = append(test.Expressions, expression{Expr: fmt.Sprintf(fired, ""), Time: fmt.Sprint(begun-interval, "s")})
	}
	last := expression{Expr: fmt.Sprintf(fired, `,alertname=~"`+strings.Join(alerts, "|")+`"`), Time: end}
	for _, a := range alerts {
		last.Samples = append(last.Samples, sample{fmt.Sprintf(`{alertname="%s"}`, a), 1})
	}
	test.Expressions = append(test.Expressions, last)
	return test, nil
}

// record reads the scrapes of a folder. Their names are the time of the scrape by the clock
// of the rules in seconds, and that of the process in milliseconds.
func record(folder string) (*recording, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.prom"))
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	r := &recording{series: map[string][]string{}, last: map[string]stamp{}}
	for _, file := range files {
		var seconds, process int64
		if _, err := fmt.Sscanf(filepath.Base(file), "%d-%d.prom", &seconds, &process); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if err := r.add(text, float64(seconds)-float64(process)/1000); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return r, nil
}

// add takes one scrape. shift moves a time of the process to the clock of the rules.
func (r *recording) add(text []byte, shift float64) error {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for name, family := range families {
		samples, err := expfmt.ExtractSamples(&expfmt.DecodeOptions{}, family)
		if err != nil {
			return err
		}
		for _, s := range samples {
			s.Metric["instance"], s.Metric["job"] = "a", "statusd"
			series, value := s.Metric.String(), float64(s.Value)
			if strings.HasSuffix(name, "_timestamp_seconds") {
				value = r.moved(series, value, shift)
			}
			seen[series] = true
			r.put(series, strconv.FormatFloat(value, 'f', -1, 64))
		}
	}
	for series, values := range r.series {
		if !seen[series] && values[len(values)-1] != "stale" {
			r.put(series, "stale")
		}
	}
	r.length++
	return nil
}

// put gives the series a value for this scrape, and none for those without one before.
func (r *recording) put(series, value string) {
	values := r.series[series]
	for len(values) < r.length {
		values = append(values, "_")
	}
	r.series[series] = append(values, value)
}

// moved returns a time by the clock of the rules. A time that has not changed stays where it
// was, because that clock goes faster.
func (r *recording) moved(series string, reported, shift float64) float64 {
	last, has := r.last[series]
	if !has || last.reported != reported {
		last = stamp{reported, reported + shift}
		r.last[series] = last
	}
	return last.moved
}
