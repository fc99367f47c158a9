package app

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
)

// What the cost of a deployment depends on. Change it only here: the tests print the tables
// that README.md and deploy/COST.md must have.
const (
	hours          = 730.0 // of a month
	monthDays      = 30.4
	secondsOfMonth = hours * 3600

	payloadBytes   = 487.0  // of a record in Redis, compressed; measured by cmd/internal/bench
	recordBytes    = 195.0  // of Redis beyond that, indexes included; measured by cmd/internal/bench
	retentionDays  = 15.0   // RETENTION
	archivedDays   = 30.0   // of the archive that provision creates
	eventBytes     = 4000.0 // of an event
	events         = 2.0    // of an execution: start and end
	writeUnits     = 3.0    // of DynamoDB for an execution: 1 kB when it starts, 2 kB when it ends
	idleRequests   = secondsOfMonth/12 + secondsOfMonth/60
	deleteWithin   = 1.0 // seconds for which deletes are collected
	deleteBatch    = 10.0
	pollBytes      = 770.0 // of an answer; measured by cmd/internal/bench
	fewPolls       = 5.5   // of an execution of 20 s, by the documented poller
	manyPolls      = 120.0 // of an execution of 5 minutes, one every 2.5 s
	describeQuota  = 50.0  // DescribeExecution calls a second
	secondsOfPoll  = 2.5
	lambdaGB       = 0.125
	ingestSeconds  = 0.05 // of a Lambda function that writes an event
	pollSeconds    = 0.02 // of a Lambda function that answers a poll
	usableOfNode   = 0.75 // share of the memory; ElastiCache reserves the rest
	connectionsLCU = 25.0 // new connections a second in an LCU of a load balancer
	bytesLCU       = 1e9  // an hour
	gib            = 1 << 30
)

// price is a list price of us-east-1.
type price struct {
	what string
	usd  float64
	unit string
	date string // date and source of the price; "assumed" without a price list
}

const (
	priceList = "AWS price list, 2 October 2026"
	assumed   = "assumed"
)

var prices = struct {
	t4gMedium, m7gLarge, r7gLarge, sqs, archive, archived, replay, vcpu, memory, balancer, lcu, transfer,
	writes, reads, stored, invocations, lambda, httpAPI price
}{
	t4gMedium:   price{"cache.t4g.medium, Valkey", 0.052, "an hour", priceList},
	m7gLarge:    price{"cache.m7g.large, Valkey", 0.1264, "an hour", priceList},
	r7gLarge:    price{"cache.r7g.large, Valkey", 0.1752, "an hour", priceList},
	sqs:         price{"SQS requests, standard queue, each 64 KiB", 0.40, "a million", "published, March 2026"},
	archive:     price{"EventBridge archive", 0.10, "a GB archived", "published, March 2026"},
	archived:    price{"EventBridge archive, storage", 0.023, "a GB and month", "published, March 2026"},
	replay:      price{"EventBridge replay", 1.00, "a million events", "published, March 2026"},
	vcpu:        price{"Fargate, Linux on ARM, vCPU", 0.03238, "an hour", assumed},
	memory:      price{"Fargate, Linux on ARM, memory", 0.00356, "a GB and hour", assumed},
	balancer:    price{"Application Load Balancer", 0.0225, "an hour", assumed},
	lcu:         price{"Application Load Balancer, LCU", 0.008, "an hour", assumed},
	transfer:    price{"data transfer out to the Internet", 0.09, "a GB", assumed},
	writes:      price{"DynamoDB on demand, write units", 0.625, "a million", priceList},
	reads:       price{"DynamoDB on demand, read units", 0.125, "a million", priceList},
	stored:      price{"DynamoDB storage", 0.25, "a GB and month", priceList},
	invocations: price{"Lambda invocations", 0.20, "a million", assumed},
	lambda:      price{"Lambda, on x86", 16.67, "a million GB-seconds", assumed},
	httpAPI:     price{"API Gateway HTTP API requests", 1.00, "a million", assumed},
}

func allPrices() []price {
	p := prices
	return []price{
		p.t4gMedium, p.m7gLarge, p.r7gLarge, p.sqs, p.archive, p.archived, p.replay, p.vcpu, p.memory, p.balancer, p.lcu, p.transfer,
		p.writes, p.reads, p.stored, p.invocations, p.lambda, p.httpAPI,
	}
}

// node is a type of a cache node.
type node struct {
	name   string
	memory float64 // GiB
	price  price
}

var nodes = []node{
	{"t4g.medium", 3.09, prices.t4gMedium},
	{"m7g.large", 6.38, prices.m7gLarge},
	{"r7g.large", 13.07, prices.r7gLarge},
}

// deployment is one of the sizes.
type deployment struct {
	executions float64 // a month
	tasks      string
	vcpus, gb  float64 // of all tasks
	ingesting  float64 // tasks that receive events
}

var deployments = []deployment{
	{10e3, "2 × 0.25 vCPU", 0.5, 1, 2},
	{100e3, "2 × 0.25 vCPU", 0.5, 1, 2},
	{1e6, "2 × 0.5 vCPU", 1, 2, 2},
	{10e6, "2 × 1 vCPU and 1 × 0.5 vCPU", 2.5, 5, 1},
	{100e6, "3 × 1 vCPU and 2 × 0.5 vCPU", 4, 8, 2},
}

func (d deployment) perSecond() float64 { return d.executions / secondsOfMonth }

// cache returns the cheapest shards that hold all records, each with a replica.
func (d deployment) cache() (name string, usd float64) {
	needed := d.executions * min(1, retentionDays/monthDays) * (payloadBytes + recordBytes) / gib
	largest := nodes[len(nodes)-1]
	shards, chosen := math.Ceil(needed/(largest.memory*usableOfNode)), largest
	for _, n := range nodes {
		if needed <= n.memory*usableOfNode {
			chosen = n
			break
		}
	}
	name = "2 × " + chosen.name
	if shards > 1 {
		name = fmt.Sprintf("%.0f × %s", 2*shards, chosen.name)
	}
	return name, 2 * shards * chosen.price.usd * hours
}

func (d deployment) fargate() float64 {
	return hours * (d.vcpus*prices.vcpu.usd + d.gb*prices.memory.usd)
}

func (d deployment) balancer(polls float64) float64 {
	lcus := max(d.perSecond()/connectionsLCU, d.perSecond()*3600*polls*pollBytes/bytesLCU)
	return hours * (prices.balancer.usd + lcus*prices.lcu.usd)
}

func (d deployment) transfer(polls float64) float64 {
	return d.executions * polls * pollBytes / 1e9 * prices.transfer.usd
}

// requests returns the number of SQS requests for an event: it is sent, received, and deleted
// together with other events of the same second.
func (d deployment) requests() float64 {
	together := min(deleteBatch, 1+events*d.perSecond()/d.ingesting*deleteWithin)
	return 1 + 1 + 1/together
}

func (d deployment) sqs() float64 {
	return (d.executions*events*d.requests() + d.ingesting*idleRequests) / 1e6 * prices.sqs.usd
}

// archive returns the cost of an archive of a share of the events.
func (d deployment) archive(share float64) float64 {
	gb := d.executions * events * share * eventBytes / 1e9
	return gb*prices.archive.usd + gb*archivedDays/monthDays*prices.archived.usd
}

func (d deployment) total(polls float64) float64 {
	_, redis := d.cache()
	return redis + d.fargate() + d.balancer(polls) + d.transfer(polls) + d.sqs() + d.archive(1)
}

// functions returns the cost of the same service with DynamoDB, Lambda and an HTTP API, without
// queue and archive.
func (d deployment) functions(polls float64) float64 {
	gbSeconds := lambdaGB * (events*ingestSeconds + polls*pollSeconds)
	perMillion := writeUnits*prices.writes.usd + polls*(prices.reads.usd+prices.httpAPI.usd) + (events+polls)*prices.invocations.usd + gbSeconds*prices.lambda.usd
	stored := d.executions * min(1, retentionDays/monthDays) * 1200 / 1e9 * prices.stored.usd
	return d.executions/1e6*perMillion + stored + d.transfer(polls)
}

// describes reports whether DescribeExecution allows this rate of polls.
func (d deployment) describes(polls float64) string {
	rate := d.perSecond() * polls
	if rate > describeQuota {
		return fmt.Sprintf("%s a second: too many", number(rate))
	}
	return number(rate) + " a second"
}

func number(v float64) string {
	switch {
	case v < 0.1:
		return strconv.FormatFloat(v, 'g', 1, 64)
	case v < 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	text := strconv.FormatFloat(v, 'f', 0, 64)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func usd(v float64) string { return "$" + number(v) }

func costTable() string {
	rows := []string{
		"| executions a month | cache nodes, Valkey | tasks, Fargate | cost of nodes | cost of tasks | balancer, transfer | SQS | archive | total a month | total per million |",
		"|---|---|---|---|---|---|---|---|---|---|",
	}
	for _, d := range deployments {
		name, redis := d.cache()
		total := d.total(fewPolls)
		rows = append(rows, fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s | %s | **%s** | %s |", number(d.executions), name, d.tasks,
			usd(redis), usd(d.fargate()), usd(d.balancer(fewPolls)+d.transfer(fewPolls)), usd(d.sqs()), usd(d.archive(1)), usd(total), usd(total/d.executions*1e6)))
	}
	return strings.Join(rows, "\n")
}

func comparisonTable() string {
	rows := []string{
		"| executions a month | statusd | DynamoDB + Lambda | DescribeExecution | statusd | DynamoDB + Lambda | DescribeExecution |",
		"|---|---|---|---|---|---|---|",
	}
	for _, d := range deployments {
		row := "| " + number(d.executions)
		for _, polls := range []float64{fewPolls, manyPolls} {
			row += fmt.Sprintf(" | %s | %s | %s", usd(d.total(polls)), usd(d.functions(polls)), d.describes(polls))
		}
		rows = append(rows, row+" |")
	}
	return strings.Join(rows, "\n")
}

func priceTable() string {
	rows := []string{"| price, us-east-1 | | from |", "|---|---|---|"}
	for _, p := range allPrices() {
		rows = append(rows, fmt.Sprintf("| %s | $%s %s | %s |", p.what, strconv.FormatFloat(p.usd, 'f', -1, 64), p.unit, p.date))
	}
	return strings.Join(rows, "\n")
}

// TestCostsAreThoseOfTheFormula: the tables follow from the prices and sizes above.
func TestCostsAreThoseOfTheFormula(t *testing.T) {
	t.Parallel()
	for file, tables := range map[string][]string{
		"README.md":      {costTable()},
		"deploy/COST.md": {costTable(), comparisonTable(), priceTable()},
	} {
		text, err := os.ReadFile("../../../" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range tables {
			if !strings.Contains(string(text), "\n"+table+"\n") {
				t.Errorf("%s lacks the table\n%s", file, table)
			}
		}
	}
}

// TestCostsInSentences: the sentences around the tables have the same numbers.
func TestCostsSaidInWords(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../deploy/COST.md")
	if err != nil {
		t.Fatal(err)
	}
	said := strings.Join(strings.Fields(string(text)), " ")
	million := deployment{executions: 1e6}
	for _, want := range []string{
		fmt.Sprintf("%.0f B of compressed payload and %.0f B of other data", payloadBytes, recordBytes),
		fmt.Sprintf("Archiving costs %s per million executions, or %s with `--archive terminal`", usd(million.archive(1)), usd(million.archive(0.5))),
		fmt.Sprintf("A replay costs another %s, or %s", usd(events*prices.replay.usd), usd(events/2*prices.replay.usd)),
		fmt.Sprintf("%s million requests a month", number(idleRequests/1e6)),
		fmt.Sprintf("%.0f executions can be polled at the same time", describeQuota*secondsOfPoll),
	} {
		if !strings.Contains(said, want) {
			t.Errorf("deploy/COST.md does not say %q", want)
		}
	}
}
