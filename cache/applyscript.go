package cache

import (
	"embed"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"statuscache/cache/internal/luascript"
	"statuscache/cache/internal/record"
	"statuscache/cache/internal/redisdb"
	"statuscache/cache/internal/tally"
)

//go:embed *.lua
var scripts embed.FS

func source(name string) string {
	text, _ := scripts.ReadFile(name) // it is embedded
	return string(text)
}

// applyScript joins observations with their records, and updates the counters. Its contract is
// the first comment of apply.lua.
var applyScript = luascript.New(LuaConstants(), countScript, givenConstants(), source("apply.lua"),
	"local function make_steps()\n", source("labels.lua"), source("merge.lua"), "end\n", source("merge_common.lua"))

// How many arguments apply.lua takes for each execution, and what some of them are.
const (
	argumentsEach   = 6
	payloadArgument = 3
	countsArgument  = 5
	memberArgument  = 6
)

// countScript updates the counters in the same step as the record.
var countScript = tally.Script(argumentsEach, countsArgument)

// Letters in the arguments and answers of the script, see the head of apply.lua.
const (
	formARN         = '0'
	formShort       = '1'
	formShortBefore = '2' // the ARN was there before
	formARNBefore   = '3' // the short form was there before

	kindRunning    = 'r'
	kindRunsNow    = 'v' // running, according to Step Functions
	kindAwaiting   = 'w'
	kindStopped    = 's'
	kindRegistered = 'g'

	answerFailed = 'f'
)

// conflict is the verdict of a registration that names another owner.
const conflict Verdict = "conflict"

var verdicts = map[byte]Verdict{'a': Applied, 's': Superseded, 'e': Expired, 'c': conflict}

// given has the fields of an observation that the script needs in addition to its payload.
type given struct {
	version, hash, start        string
	rank, kind                  byte
	ownerLeftOut, labelsLeftOut bool
	owner, inputType, labels    string
}

// givenParts are the parts of an encoded given, and their lengths in bytes. Owner, input type and
// labels follow.
var givenParts = []struct {
	name   string
	length int
}{
	{"KIND", 1}, {"LEFT_OUT", 1}, {"COMPACT", 1}, {"START", startLength},
	{"ENTRY", trailGivenLength}, {"SHORT", 1 + shortGivenLength},
	{"FORMAT", 1}, {"IDENTITY", compactVersionLength + hashLength/2},
	{"EPOCH", compactTimeLength}, {"RANK", 1}, {"SHAPE", record.RegistersLength}, {"PAYLOAD", record.PayloadLength},
}

// givenConstants returns the positions of these parts, for the script.
func givenConstants() string {
	var b strings.Builder
	at := 0
	for _, part := range givenParts {
		fmt.Fprintf(&b, "local GIVEN_%s = %d\n", part.name, at+1)
		if part.length > 1 {
			fmt.Fprintf(&b, "local GIVEN_%s_END = %d\n", part.name, at+part.length)
		}
		at += part.length
	}
	fmt.Fprintf(&b, "local MEMBER = %d\n", memberArgument)
	return b.String()
}

// encode returns the argument of the script for e. payload is the length of its payload; compact
// is set if the record must be compact.
func (g *given) encode(e *Execution, payload int, compact bool) []byte {
	version := Version(g.version)
	b := make([]byte, 0, 160+len(g.owner)+len(g.inputType)+len(g.labels))
	b = append(b, g.kind, '0', '0')
	if g.ownerLeftOut {
		b[1] += 1
	}
	if g.labelsLeftOut {
		b[1] += 2
	}
	if compact {
		b[2] = '1'
	}
	b = append(b, g.start...)
	b = appendTrailEntry(b, version, e)
	b = appendShortTrailEntry(b, version, e)
	b = record.AppendVersion(append(b, compactFormat), version)
	b, _ = hex.AppendDecode(b, []byte(g.hash)) // which is hexadecimal
	b = record.AppendTime(b, Version(g.start).StartDate().UnixMilli())
	b = append(b, g.rank, byte(len(g.owner)>>8), byte(len(g.owner)), byte(len(g.inputType)), byte(len(g.labels)>>8), byte(len(g.labels)))
	b = append(b, byte(payload>>16), byte(payload>>8), byte(payload))
	return append(append(append(b, g.owner...), g.inputType...), g.labels...)
}

// counts returns the argument of count.lua for an observation: the start of the execution, and
// its end if the API reports that it has ended.
func counts(e *Execution, machine tally.Machine) []byte {
	b := tally.AppendEvent(make([]byte, 0, 48), machine, tally.Started, e.StartDate)
	switch status := publicStatus(e); {
	case !e.Terminal() || status == Running:
		return b
	case status == Succeeded:
		return tally.AppendEvent(b, machine, tally.Bucket(e.StopDate.Sub(e.StartDate)), e.StopDate)
	}
	b = tally.AppendEvent(b, machine, tally.Failed, e.StopDate)
	return tally.CauseOf(machine, e.Error, e.ErrorMessage).AppendFailure(b, e.StopDate)
}

func (c *Cache) arguments(call []*write) (keys []string, args []any) {
	keys = make([]string, 0, len(call)+1)
	args = make([]any, 0, len(call)*argumentsEach+3)
	for _, w := range call {
		keys = append(keys, w.partition.Executions+string(w.arn))
		args = append(args, w.args[:]...)
	}
	return append(keys, call[0].partition.Changed), append(args, c.commonArguments()...)
}

// commonArguments returns the arguments of the script that follow those of the executions.
func (c *Cache) commonArguments() []any {
	successKept := ""
	if c.options.RetentionOutput > 0 {
		successKept = strconv.FormatInt(c.options.Retention.Milliseconds(), 10)
	}
	return []any{successKept, c.db.Publish, recentIndexSize}
}

// readAnswers gives each write its answer, or the reason why none is confirmed.
func readAnswers(call []*write, of *redisdb.Command) {
	var answers []string
	err := of.Err
	if err == nil {
		answers, err = of.Answer.StringSlice()
	}
	if err == nil && len(answers) != len(call) {
		err = redisdb.ErrAnswer
	}
	for i, w := range call {
		if w.err = err; err == nil {
			w.err = w.read(answers[i])
		}
	}
}

func (w *write) read(answer string) error {
	const short, head = 3, 3 + compactTimeLength
	if len(answer) > 0 && answer[0] == answerFailed {
		return fmt.Errorf("redis: %s", answer[1:])
	}
	if len(answer) != short && len(answer) < head {
		return redisdb.ErrAnswer
	}
	verdict, known := verdicts[answer[0]]
	if !known {
		return redisdb.ErrAnswer
	}
	w.verdict, w.rankBefore, w.form = verdict, answer[1], answer[2]
	if len(answer) > short { // otherwise both are as given
		w.start, w.owner = record.ReadMillis(answer[short:]), answer[head:]
	}
	return nil
}
