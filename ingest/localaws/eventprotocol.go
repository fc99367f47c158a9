package localaws

import (
	"fmt"
	"math"
	"strings"
	"time"
)

var busActions = map[string]action{
	"PutRule":           decoded((*Server).putRule),
	"DescribeRule":      forRule((*Server).describeRule),
	"ListRules":         decoded((*Server).listRules),
	"EnableRule":        forRule((*Server).enableRule),
	"DisableRule":       forRule((*Server).disableRule),
	"DeleteRule":        decoded((*Server).deleteRule),
	"PutTargets":        forRule((*Server).putTargets),
	"RemoveTargets":     forRule((*Server).removeTargets),
	"ListTargetsByRule": forRule((*Server).listTargetsByRule),
	"PutEvents":         decoded((*Server).putEvents),
	"TestEventPattern":  decoded((*Server).testEventPattern),
	"CreateArchive":     decoded((*Server).createArchive),
	"DescribeArchive":   decoded((*Server).describeArchive),
	"UpdateArchive":     decoded((*Server).updateArchive),
	"ListArchives":      decoded((*Server).listArchives),
	"DeleteArchive":     decoded((*Server).deleteArchive),
	"StartReplay":       decoded((*Server).startReplay),
	"DescribeReplay":    decoded((*Server).describeReplay),
	"ListReplays":       decoded((*Server).listReplays),
	"CancelReplay":      decoded((*Server).cancelReplay),
	"CreateEventBus":    decoded((*Server).createEventBus),
	"DescribeEventBus":  decoded((*Server).describeEventBus),
	"ListEventBuses":    decoded((*Server).listEventBuses),
	"DeleteEventBus":    decoded((*Server).deleteEventBus),

	"ListRuleNamesByTarget": decoded((*Server).listRuleNamesByTarget),
}

func validation(message string) *Error { return &Error{Code: "ValidationException", Message: message} }

func invalidPattern(err error) *Error {
	return &Error{Code: "InvalidEventPatternException", Message: "Event pattern is not valid. Reason: " + err.Error()}
}

func notFound(what string) *Error {
	return &Error{Code: "ResourceNotFoundException", Message: what + " does not exist."}
}

func alreadyExists(what string) *Error {
	return &Error{Code: "ResourceAlreadyExistsException", Message: what + " already exists."}
}

func limitExceeded(what string, most int) *Error {
	return &Error{Code: "LimitExceededException", Message: fmt.Sprintf("there can be at most %d %s", most, what)}
}

// checkName returns an error if EventBridge would not accept a name.
func checkName(name string, most int) error {
	valid := validID(strings.ReplaceAll(name, ".", "_"))
	if !valid || len(name) > most {
		return validation(fmt.Sprintf("%q is no name: 1 to %d letters, digits, dots, hyphens and underscores", name, most))
	}
	return nil
}

// Times of EventBridge are seconds since 1970, with a fraction.
func epoch(t time.Time) float64 { return float64(t.UnixMilli()) / 1e3 }

func fromEpoch(seconds float64) time.Time { return time.UnixMilli(int64(math.Round(seconds * 1e3))) }
