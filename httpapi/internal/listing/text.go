package listing

import (
	"net/url"
	"strings"
	"time"

	"statuscache/cache"
	"statuscache/cache/lists"
	"statuscache/httpapi/internal/envelope"
)

// readText reads what a person pasted: the ARN of an execution or of a state machine, the
// address of a page of the AWS console about one, a name or its beginning, or the value of
// a label.
func readText(text string, q *lists.Query, _ time.Time) error {
	text = strings.TrimSpace(text)
	if text == "" || !isText(text, maxText) {
		return envelope.Invalid("q: must be one line of at most %d bytes", maxText)
	}
	pasted := arnIn(text)
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

// arnIn returns the ARN in a text: all of it, or that in the address of a page of the AWS
// console,
//
//	https://eu-west-1.console.aws.amazon.com/states/home?region=eu-west-1#/v2/executions/details/arn%3Aaws%3Astates…
func arnIn(text string) string {
	if !strings.Contains(text, "://") {
		return text
	}
	decoded, err := url.PathUnescape(text)
	if err != nil {
		decoded = text
	}
	at := strings.LastIndex(decoded, "arn:aws")
	if at < 0 {
		return text
	}
	arn := decoded[at:]
	if end := strings.IndexAny(arn, "?#&"); end >= 0 {
		arn = arn[:end]
	}
	return strings.TrimSuffix(arn, "/")
}
