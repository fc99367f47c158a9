package httpapi

import (
	"net/url"
	"strings"
	"testing"

	"statuscache/cache"
	"statuscache/cache/apikeys"
)

// TestTheTrailIsForOperators, and shows each observation with what became of it.
func TestTheTrailIsForOperators(t *testing.T) {
	t.Parallel()
	s := newService(t)
	e := running(t, "x", "ada")
	inMap := e
	inMap.ARN = cache.ARN(strings.Replace(string(e.ARN), ":Pipeline:", ":Pipeline/Map:", 1))
	ended := finished(e, "1")
	ended.EventID = "591912a6-f82a-87e0-977f-82682157651c"
	s.apply(e)
	s.apply(ended, inMap)
	s.apply(e)
	operator := s.key("ops", scope(apikeys.ScopeReadAll))
	trail := func(text string) string { return "/v1/executions/" + text + "/trail" }
	for name, test := range map[string]struct {
		target, token string
		want          int
		says          string
	}{
		"raw":                {trail(string(e.ARN)), operator, 200, `"status":"SUCCEEDED","attempt":1,"changed":true,"verdict":"applied"`},
		"encoded":            {trail(url.QueryEscape(string(e.ARN))), operator, 200, `"eventId":"591912a6-f82a-87e0-977f-82682157651c"`},
		"what came too late": {trail(string(e.ARN)), operator, 200, `"status":"RUNNING","attempt":1,"changed":false,"verdict":"superseded"`},
		"with a slash":       {trail(string(inMap.ARN)), operator, 200, "Pipeline/Map"},
		"and one encoded":    {trail(url.QueryEscape(string(inMap.ARN))), operator, 200, "Pipeline/Map"},
		"its owner":          {trail(string(e.ARN)), s.key("ada"), 403, "read:all"},
		"unknown":            {trail(machine + "unknown"), operator, 404, "nothing is known"},
		"unknown, its owner": {trail(machine + "unknown"), s.key("ada"), 403, "read:all"},
		"not an ARN":         {trail("x"), operator, 400, "executionArn"},
		"encoded twice":      {trail(strings.ReplaceAll(string(e.ARN), ":", "%253A")), operator, 400, "executionArn"},
		"without a token":    {trail(string(e.ARN)), "", 401, ""},
		"another path":       {"/v1/executions/" + string(e.ARN), operator, 404, "nothing at this path"},
	} {
		got := s.ask("GET", test.target, test.token)
		if got.status != test.want || !strings.Contains(got.body, test.says) {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
		if head := s.ask("HEAD", test.target, test.token); head.status != test.want || head.body != "" {
			t.Errorf("%s: HEAD: %+v", name, head)
		}
	}
	if got := s.ask("POST", trail(string(e.ARN)), operator); got.status != 405 || got.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %+v", got)
	}
}
