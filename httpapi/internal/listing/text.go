package listing

import (
	"strings"
	"time"

	"statuscache/cache"
	"statuscache/cache/lists"
	"statuscache/httpapi/internal/envelope"
)

// readText reads what a person pasted: the ARN of an execution or of a state machine, the
// URL of its page in the AWS console, a name or its beginning, or the value of a label.
func readText(text string, q *lists.Query, _ time.Time) error {
	text = strings.TrimSpace(text)
	if text == "" || !isText(text, maxText) {
		return envelope.Invalid("q: must be one line of at most %d bytes", maxText)
	}
	pasted := cache.FindARN(text)
	if arn, err := cache.ParseARN(pasted); err == nil {
		q.Execution = arn
		return nil
	}
	if machine, err := cache.ParseMachineARN(pasted); err == nil && q.StateMachine == "" {
		q.StateMachine = string(machine)
		return nil
	}
	q.Text = text
	return nil
}
