// Command rulecheck compares Prometheus rules, Grafana dashboards and a runbook with what running
// processes export. Each metric in a query must be exported, with the labels and label values of
// the query, or be recorded by one of the rules.
// Each alert needs a section in the runbook, and each section an alert.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v4"
)

func main() {
	scrapes := flag.String("scrapes", "", "folder of scrapes of processes, one folder for each fault")
	runbook := flag.String("runbook", "", "file with a section for each alert; empty: print tests of the given rules for promtool, which fire for the scrapes")
	flag.Parse()
	if *runbook == "" {
		text, err := ruleTests(*scrapes, flag.Args())
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		_, _ = os.Stdout.Write(text)
		return
	}
	problems, err := check(*scrapes, *runbook, flag.Args())
	if err != nil {
		problems = append(problems, err.Error())
	}
	for _, p := range problems {
		fmt.Fprintln(os.Stderr, p)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
}

// check returns what is wrong with rule files (.yaml) and dashboards (.json).
func check(scrapes, runbook string, files []string) ([]string, error) {
	c := &checker{known: map[string][]map[string]string{"ALERTS": nil}} // of Prometheus itself
	if err := c.scraped(scrapes); err != nil {
		return nil, err
	}
	queries, err := c.load(files)
	if err != nil {
		return nil, err
	}
	if len(queries) == 0 {
		return nil, fmt.Errorf("there is no query in %v", files)
	}
	p := parser.NewParser(parser.Options{})
	for _, q := range queries {
		c.query(p, q)
	}
	fmt.Printf("%d queries name only metrics of %d that are exported or recorded\n", len(queries), len(c.known))
	err = c.sections(runbook)
	return c.problems, err
}

type checker struct {
	known    map[string][]map[string]string // the series of each metric; nil: recorded
	alerts   []alert
	problems []string
}

type alert struct{ name, runbook string }

// query is an expression and where it stands.
type query struct{ where, text string }

func (c *checker) wrong(format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

// scraped learns what the processes exported in their last scrapes. Some metrics are there
// only with the setting that they are about.
func (c *checker) scraped(root string) error {
	folders, err := filepath.Glob(filepath.Join(root, "*"))
	if err != nil {
		return err
	}
	for _, folder := range folders {
		files, err := filepath.Glob(filepath.Join(folder, "*.prom"))
		if err != nil || len(files) == 0 {
			return fmt.Errorf("there are no scrapes in %s: %w", folder, err)
		}
		if err := c.scrape(slices.Max(files)); err != nil {
			return err
		}
	}
	return nil
}

// scrape learns what is in a scrape of a process.
func (c *checker) scrape(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	reader := expfmt.NewTextParser(model.UTF8Validation)
	families, err := reader.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for name, family := range families {
		for _, m := range family.Metric {
			series := map[string]string{"instance": "", "job": ""}
			for _, l := range m.Label {
				series[l.GetName()] = l.GetValue()
			}
			c.known[name] = append(c.known[name], series)
			if m.Histogram != nil {
				c.histogram(name, series, m.Histogram.GetBucket())
			}
		}
	}
	return nil
}

// histogram adds the series of a histogram.
func (c *checker) histogram(name string, series map[string]string, buckets []*dto.Bucket) {
	for _, suffix := range []string{"_sum", "_count"} {
		c.known[name+suffix] = append(c.known[name+suffix], series)
	}
	for _, b := range buckets {
		each := map[string]string{"le": fmt.Sprint(b.GetUpperBound())}
		for k, v := range series {
			each[k] = v
		}
		c.known[name+"_bucket"] = append(c.known[name+"_bucket"], each)
	}
}

// load reads every query of the files.
func (c *checker) load(files []string) (all []query, err error) {
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		load := c.rules
		if strings.HasSuffix(file, ".json") {
			load = dashboard
		}
		found, err := load(file, text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, found...)
	}
	return all, nil
}

func (c *checker) rules(file string, text []byte) (all []query, err error) {
	var parsed struct {
		Groups []struct {
			Rules []struct {
				Record, Alert, Expr string
				Annotations         map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(text, &parsed); err != nil {
		return nil, err
	}
	for _, g := range parsed.Groups {
		for _, r := range g.Rules {
			if r.Record != "" {
				c.known[r.Record] = nil
			} else {
				c.alerts = append(c.alerts, alert{r.Alert, r.Annotations["runbook_url"]})
			}
			all = append(all, query{file + ": " + r.Record + r.Alert, r.Expr})
		}
	}
	return all, nil
}

// variables are what Grafana puts in.
var variables = strings.NewReplacer("$__rate_interval", "5m", "$__range", "1h", "$instance", ".*")

func dashboard(file string, text []byte) (all []query, err error) {
	var parsed struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &parsed); err != nil {
		return nil, err
	}
	for _, p := range parsed.Panels {
		for _, t := range p.Targets {
			all = append(all, query{file + ": " + p.Title, variables.Replace(t.Expr)})
		}
	}
	return all, nil
}

// query checks each selector of a query.
func (c *checker) query(p parser.Parser, q query) {
	expr, err := p.ParseExpr(q.text)
	if err != nil {
		c.wrong("%s: %v", q.where, err)
		return
	}
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if s, is := n.(*parser.VectorSelector); is {
			c.selector(q.where, s)
		}
		if a, is := n.(*parser.AggregateExpr); is {
			c.grouping(q.where, a)
		}
		return nil
	})
}

func (c *checker) selector(where string, s *parser.VectorSelector) {
	series, known := c.known[s.Name]
	if !known {
		c.wrong("%s: %s is not exported", where, s.Name)
		return
	}
	if series == nil {
		return // recorded
	}
	for _, m := range s.LabelMatchers {
		if m.Name == labels.MetricName {
			continue
		}
		fits := func(each map[string]string) bool {
			value, has := each[m.Name]
			return has && (m.Type != labels.MatchEqual || m.Matches(value))
		}
		if !slices.ContainsFunc(series, fits) {
			c.wrong("%s: no series of %s has %s", where, s.Name, m)
		}
	}
}

// grouping checks that what is grouped by is a label of what is aggregated.
func (c *checker) grouping(where string, a *parser.AggregateExpr) {
	for _, label := range a.Grouping {
		found := false
		parser.Inspect(a.Expr, func(n parser.Node, _ []parser.Node) error {
			if s, is := n.(*parser.VectorSelector); is {
				series, known := c.known[s.Name]
				found = found || known && (series == nil || slices.ContainsFunc(series, func(each map[string]string) bool {
					_, has := each[label]
					return has
				}))
			}
			return nil
		})
		if !found {
			c.wrong("%s: grouped by %s, which no series has", where, label)
		}
	}
}

var heading = regexp.MustCompile(`(?m)^## (\w+)$`)

// sections compares the sections of the runbook with the alerts.
func (c *checker) sections(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	has := map[string]bool{}
	starts := heading.FindAllSubmatchIndex(text, -1)
	for i, at := range starts {
		name, end := string(text[at[2]:at[3]]), len(text)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		has[name] = true
		c.parts(file, name, strings.TrimSpace(string(text[at[1]:end])))
	}
	for _, a := range c.alerts {
		if !has[a.name] {
			c.wrong("%s has no section %s", file, a.name)
		}
		if want := "RUNBOOK.md#" + strings.ToLower(a.name); a.runbook != want {
			c.wrong("%s has the runbook_url %q, want %q", a.name, a.runbook, want)
		}
		delete(has, a.name)
	}
	for name := range has {
		c.wrong("%s has a section %s, and there is no such alert", file, name)
	}
	return nil
}

// parts checks that a section says what the alert means, how to see it and what to do, or
// refers to the next section, which is the same alert at a lower speed.
func (c *checker) parts(file, name, section string) {
	if section == "See the next section." {
		return
	}
	for _, part := range []string{"What it means", "How to see it", "What to do"} {
		if _, follows, found := strings.Cut(section, "**"+part+".**"); !found || strings.TrimSpace(follows) == "" {
			c.wrong("%s: the section %s does not have the part %q", file, name, part)
		}
	}
}
