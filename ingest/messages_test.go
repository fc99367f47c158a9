package ingest

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// inPipe is a record of EventBridge Pipes with a body.
func inPipe(body string) string {
	text, _ := json.Marshal(body) // it is UTF-8
	return `{"messageId":"1","receiptHandle":"r","body":` + string(text) + `}`
}

// TestAMessageOfMany merges each event of a message, deletes it when all are, and
// leaves one to the dead letters of which a part cannot be read.
func TestAMessageOfMany(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		parts         []string
		dead, applied int
	}{
		"all good":             {[]string{inPipe(statusEvent("a", "RUNNING")), inPipe(statusEvent("b", "SUCCEEDED"))}, 0, 1},
		"one that is not ours": {[]string{inPipe(statusEvent("a", "RUNNING")), inPipe(`{"source":"x","detail-type":"y","detail":{}}`)}, 0, 1},
		"one that is garbled":  {[]string{inPipe(statusEvent("a", "RUNNING")), inPipe("garbled"), inPipe(statusEvent("b", "SUCCEEDED"))}, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q, known := newFakeQueue(), newFakeCache()
				body := "[" + strings.Join(c.parts, ",") + "]"
				q.send(body)
				p := startProcess(t, q, known)
				pass(3 * time.Minute)
				p.stop()
				checkState(t, known, []string{body})
				checkAccounts(t, q, p)
				if n := len(q.deadLetters()); n != c.dead || q.counts().left != 0 || p.count(resultApplied) != c.applied {
					t.Errorf("%d dead letters, %d left, %d applied", n, q.counts().left, p.count(resultApplied))
				}
			})
		})
	}
}

// TestOneDamagedMessageAmongOthers leaves it to come again, and takes the others.
func TestOneDamagedMessageAmongOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, known, bodies := newFakeQueue(), newFakeCache(), histories(10)
		q.send(bodies...)
		q.messages[4].damaged = true
		p := startProcess(t, q, known)
		pass(10 * time.Second)
		if c := q.counts(); c.left != 1 {
			t.Errorf("%d left, want the damaged one", c.left)
		}
		q.with(func() { q.messages[4].damaged = false })
		pass(Visibility)
		p.stop()
		checkState(t, known, bodies)
		checkDrained(t, q, 2)
		checkAccounts(t, q, p)
		if n := p.logs.Lines("does not match its MD5"); n != 1 {
			t.Errorf("logged %d times", n)
		}
	})
}
