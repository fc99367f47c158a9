package operate

import (
	"strings"
	"testing"
	"time"
)

func deadLettersOf(t *testing.T, w *world, url string) map[string]DeadLetters {
	t.Helper()
	all, err := w.DeadLetterQueues(t.Context(), EventPath{QueueURL: url})
	must(t, err)
	byKind := map[string]DeadLetters{}
	for _, d := range all {
		byKind[d.Kind] = d
	}
	if len(all) != 2 || len(byKind) != 2 {
		t.Fatalf("found %+v", all)
	}
	return byKind
}

// fillDeadLetters puts an event into the dead-letter queue of the rule, like EventBridge
// without the permission to send, and bodies into the dead-letter queue of the consumer.
func fillDeadLetters(t *testing.T, w *world, url string, bodies ...string) {
	t.Helper()
	w.set(t, url, attrPolicy, "")
	w.server.Publish([]byte(sampleEvent(w.machine, false)))
	w.provision(t)
	for _, body := range bodies {
		w.send(t, planned+"-dlq", body, 1)
	}
}

func TestListDeadLetters(t *testing.T) {
	t.Parallel()
	w, made := provisioned(t)
	fillDeadLetters(t, w, made.QueueURL, `{"secret":"hunter2"}`, sampleEvent(w.machine, false))
	for look := 1; look <= 3; look++ { // it removes nothing
		all := deadLettersOf(t, w, made.QueueURL)
		letters, err := w.Peek(t.Context(), all[OfConsumer], 10)
		if err != nil || len(letters) != 2 {
			t.Fatalf("%+v, %v", letters, err)
		}
		for _, l := range letters {
			decodes := l.Execution != ""
			if decodes != strings.Contains(l.Why, "can be decoded now") || strings.Contains(l.Why, "hunter2") ||
				l.Receives != look || l.ID == "" || time.Since(l.FirstSent).Abs() > time.Hour {
				t.Errorf("look %d: %+v", look, l)
			}
		}
		letters, err = w.Peek(t.Context(), all[OfRule], 10)
		if err != nil || len(letters) != 1 || !strings.Contains(letters[0].Why, "rule/"+planned) || letters[0].Execution == "" {
			t.Errorf("of the rule: %+v, %v", letters, err)
		}
	}
	letters, err := w.Peek(t.Context(), deadLettersOf(t, w, made.QueueURL)[OfConsumer], 1)
	if err != nil || len(letters) != 1 {
		t.Errorf("one: %+v, %v", letters, err)
	}
}

func TestRedriveAndPurge(t *testing.T) {
	t.Parallel()
	w, made := provisioned(t)
	fillDeadLetters(t, w, made.QueueURL, "a", "b", "c")
	count := func(queue string, want int) {
		t.Helper()
		q, err := w.queueNamed(t.Context(), queue)
		must(t, err)
		if q.messages() != want {
			t.Errorf("%s: %d messages, want %d", queue, q.messages(), want)
		}
	}
	all := deadLettersOf(t, w, made.QueueURL)
	inQueue := 0
	for _, c := range []struct {
		kind  string
		moved int
	}{{OfRule, 1}, {OfConsumer, 3}} {
		last := 0
		must(t, w.Redrive(t.Context(), all[c.kind], time.Millisecond, func(done, _ int) { last = done }))
		inQueue += c.moved
		count(all[c.kind].Name, 0)
		count(planned, inQueue)
		if last != c.moved {
			t.Errorf("%s: reported %d, want %d", c.kind, last, c.moved)
		}
	}
	w.send(t, planned+"-dlq", "x", 2)
	must(t, w.Purge(t.Context(), all[OfConsumer]))
	count(planned+"-dlq", 0)
	count(planned, inQueue)
}

// TestResendLosesNothing when the queue refuses: a message that was not sent becomes visible
// again.
func TestResendLosesNothing(t *testing.T) {
	t.Parallel()
	for _, action := range []string{"SendMessage", "DeleteMessage"} {
		w, made := provisioned(t)
		fillDeadLetters(t, w, made.QueueURL)
		all := deadLettersOf(t, w, made.QueueURL)
		w.deny(action)
		err := w.Redrive(t.Context(), all[OfRule], time.Millisecond, func(int, int) {})
		if err == nil || !strings.Contains(err.Error(), "grant sqs:"+action) {
			t.Errorf("%s: %v", action, err)
		}
		if got := deadLettersOf(t, w, made.QueueURL)[OfRule].dead.number(attrVisible); got != 1 {
			t.Errorf("%s: %d messages visible, want 1", action, got)
		}
	}
}

func TestNoDeadLetterQueues(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.server.CreateQueue("alone", nil)
	_, err := w.DeadLetterQueues(t.Context(), EventPath{QueueURL: w.url("alone")})
	if err == nil || !strings.Contains(err.Error(), "statusctl provision") {
		t.Error(err)
	}
}
