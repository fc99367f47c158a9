package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/dict"
	"github.com/klauspost/compress/s2"

	"statuscache/cache"
)

const (
	learntFrom    = 400      // outputs from which a dictionary is made
	dictionary    = 16 << 10 // its maximum length in bytes
	storedOutputs = 20_000   // of each shape
)

// dictionaries measures how much less memory in Redis an execution would take if its output was
// compressed with a dictionary for its state machine.
func (b *bench) dictionaries(ctx context.Context) ([]line, error) {
	var lines []line
	for _, s := range shapes {
		l, err := b.withDictionary(ctx, s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		lines = append(lines, l)
	}
	return lines, nil
}

func (b *bench) withDictionary(ctx context.Context, s shape) (line, error) {
	random := rand.New(rand.NewPCG(1, 1))
	known := make([][]byte, learntFrom)
	for i := range known {
		known[i] = []byte(s.output(random))
	}
	made, err := dict.BuildS2Dict(known, dict.Options{MaxDictSize: dictionary, HashBytes: 6})
	if err != nil {
		return line{}, err
	}
	d := s2.NewDict(made)
	if d == nil {
		return line{}, errors.New("the dictionary cannot be used")
	}
	outputs, coded, with := make([]string, storedOutputs), 0, make([]string, storedOutputs)
	for i := range outputs {
		outputs[i] = s.output(random)
		n := min(len(outputs[i]), len(d.EncodeBetter(nil, []byte(outputs[i]))))
		coded, with[i] = coded+n, incompressible(random, n)
	}
	now, err1 := b.memoryEach(ctx, outputs)
	then, err2 := b.memoryEach(ctx, with)
	if err := errors.Join(err1, err2); err != nil {
		return line{}, err
	}
	return line{
		figure: "Redis memory of an execution with " + s.name, ours: fmt.Sprintf("%.0f B", now),
		beside: fmt.Sprintf("with a dictionary: %.0f B, %d B of them the output", then, coded/storedOutputs),
		ratio:  fmt.Sprintf("%.0f %% less", 100*(1-then/now)), target: "≥ 25 % less", verdict: none,
	}, nil
}

// incompressible returns an output of n bytes that is stored as it is. It stands for an output
// that a dictionary has compressed to this length.
func incompressible(random *rand.Rand, n int) string {
	text := []byte{'"'}
	for len(text) < n-1 {
		if c := byte(' ' + random.IntN('~'-' ')); c != '"' && c != '\\' {
			text = append(text, c)
		}
	}
	return string(append(text, '"'))
}

// memoryEach returns the memory in Redis of an execution, on average, if executions with these
// outputs are stored.
func (b *bench) memoryEach(ctx context.Context, outputs []string) (float64, error) {
	ps := &peers{dir: b.dir}
	defer ps.stopAll()
	server, err := ps.redis(ctx)
	if err != nil {
		return 0, err
	}
	c, err := openCache(server)
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }()
	var before, after float64
	err = applyOutputs(ctx, c, outputs[:len(outputs)/4]) // connections, scripts and indexes
	if err == nil {
		before, err = usedMemory(ctx, server)
	}
	rest := outputs[len(outputs)/4:]
	if err == nil {
		err = applyOutputs(ctx, c, rest)
	}
	if err == nil {
		after, err = usedMemory(ctx, server)
	}
	return (after - before) / float64(len(rest)), err
}

// applyOutputs stores an execution with each of the outputs.
func applyOutputs(ctx context.Context, c *cache.Cache, outputs []string) error {
	for some := range slices.Chunk(outputs, 100) {
		var batch []cache.Execution
		for _, output := range some {
			h := newHappening(benchOwner)
			batch = append(batch, cache.Execution{
				ARN: cache.ARN(h.arn()), Status: cache.Succeeded, StartDate: h.start, StopDate: h.stop, Output: []byte(output),
				Owner: h.owner, InputType: "url", Completeness: cache.Complete, Source: cache.FromEvent,
			})
		}
		for _, o := range c.Apply(ctx, batch) {
			if o.Err != nil {
				return o.Err
			}
		}
	}
	return nil
}

// shape is a kind of output that pipelines have.
type shape struct {
	name   string
	output func(*rand.Rand) string
}

var shapes = []shape{
	{"counts, 90 B", func(r *rand.Rand) string {
		return fmt.Sprintf(`{"rules":[],"metadata":{"inputType":%q,"rulesGenerated":%d,"durationMs":%d}}`, oneOf(r, "url", "cve", "text"), r.IntN(9), r.IntN(90_000))
	}},
	{"two findings, 600 B", func(r *rand.Rand) string { return fmt.Sprintf(`{"rules":[%s,%s]}`, finding(r), finding(r)) }},
	{"the place of a file, 350 B", func(r *rand.Rand) string {
		return fmt.Sprintf(`{"bucket":"results-eu-west-1","key":"runs/2026/11/%02d/%s/output.json","etag":"%s","versionId":"%s","size":%d,"jobId":"%s","finishedAt":%q}`,
			1+r.IntN(28), id(r), id(r), id(r), r.IntN(1_000_000), id(r), time.UnixMilli(1.8e12+r.Int64N(1e9)).UTC().Format(time.RFC3339Nano))
	}},
	{"scores, 500 B", func(r *rand.Rand) string {
		var b strings.Builder
		for name := range strings.FieldsSeq("amount velocity country device merchant history network session ip age") {
			fmt.Fprintf(&b, `%q:{"value":%.6f,"weight":%.4f},`, name, r.Float64(), r.Float64())
		}
		return fmt.Sprintf(`{"model":"fraud-v7","scores":{%s"total":%.8f},"decision":%q}`, b.String(), r.Float64(), oneOf(r, "accept", "review", "reject"))
	}},
	{"prose, 800 B", func(r *rand.Rand) string {
		return fmt.Sprintf(`{"summary":%q,"answer":%q,"usage":{"inputTokens":%d,"outputTokens":%d},"model":"assistant-large"}`, prose(r, 25), prose(r, 80), r.IntN(9000), r.IntN(2000))
	}},
}

func finding(r *rand.Rand) string {
	return fmt.Sprintf(`{"id":%q,"title":%q,"description":%q,"level":%q,"tags":["attack.t%d"]}`, id(r), prose(r, 5), prose(r, 14), oneOf(r, "high", "medium", "low"), 1000+r.IntN(600))
}

// id returns an identifier, which does not compress.
func id(r *rand.Rand) string {
	text := make([]byte, 32)
	for i := range text {
		text[i] = "0123456789abcdef"[r.IntN(16)]
	}
	return string(text)
}

func oneOf(r *rand.Rand, all ...string) string { return all[r.IntN(len(all))] }

// prose returns words of a vocabulary of 2,000, of which some are frequent and most are rare, as
// in any language.
func prose(r *rand.Rand, words int) string {
	text := make([]string, words)
	for i := range text {
		rank := uint64(math.Exp(r.Float64() * math.Log(2000)))
		word := rand.New(rand.NewPCG(rank, 3))
		letters := make([]byte, 2+word.IntN(9))
		for j := range letters {
			letters[j] = "etaoinshrdlucmfwypvbgk"[int(22*word.Float64()*word.Float64())]
		}
		text[i] = string(letters)
	}
	return strings.Join(text, " ")
}
