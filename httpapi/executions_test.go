package httpapi

import (
	"fmt"
	"strings"
	"testing"

	"statuscache/cache"
)

// TestRegistrationOfAMachineThatIsNotOurs is refused: its events are ignored, so the
// execution would be told as RUNNING for ever.
func TestRegistrationOfAMachineThatIsNotOurs(t *testing.T) {
	t.Parallel()
	const others = "arn:aws:states:eu-west-1:123456789012:execution:Other:"
	ours := strings.TrimSuffix(strings.Replace(machine, ":execution:", ":stateMachine:", 1), ":")
	for name, c := range map[string]struct {
		machines []string
		arn      string
		status   int
	}{
		"ours":               {[]string{ours}, machine + "x", 201},
		"a Map child of it":  {[]string{ours}, strings.TrimSuffix(machine, ":") + "/Map:x", 201},
		"not ours":           {[]string{ours}, others + "x", 400},
		"one that begins so": {[]string{ours}, strings.TrimSuffix(machine, ":") + "2:x", 400},
		"all are ours":       {nil, others + "x", 201},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, func(o *Options) { o.StateMachines = c.machines })
			generate := s.key("generate", func(k *cache.Key) { k.Scope = cache.ScopeRegister })
			got := s.ask("POST", "/v1/executions", generate, jsonBody(fmt.Sprintf(`{"executionArn":%q,"owner":"ada"}`, c.arn)))
			if got.status != c.status {
				t.Errorf("%d %s", got.status, got.body)
			}
			if c.status == 400 && (!strings.Contains(got.body, "ValidationError") || !strings.Contains(got.body, "STATE_MACHINES")) {
				t.Errorf("it does not say why: %s", got.body)
			}
		})
	}
}
