package app

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
)

// TestEachSettingIsAValueOfTheChart: among its settings, secrets or files, or set by the chart
// itself. The chart refuses other names. A secret must not be a plain setting.
func TestEachSettingIsAValueOfTheChart(t *testing.T) {
	t.Parallel()
	type names struct{ Properties map[string]any }
	var schema struct {
		Defs       struct{ Settings names } `json:"$defs"`
		Properties struct{ Secrets, Files names }
	}
	if err := json.Unmarshal([]byte(fileText(t, "../../../deploy/helm/statuscache/values.schema.json")), &schema); err != nil {
		t.Fatal(err)
	}
	values := map[string]any{"ROLE": nil, "LISTEN_ADDR": nil, "ADMIN_ADDR": nil} // they follow from other values
	for _, each := range []names{schema.Defs.Settings, schema.Properties.Secrets, schema.Properties.Files} {
		maps.Copy(values, each.Properties)
	}
	for _, s := range settings {
		if _, has := values[s.name]; !has {
			t.Errorf("deploy/helm/statuscache/values.schema.json has no %s; .tools/check-deploy/helm --write adds it", s.name)
		}
		if _, plain := schema.Defs.Settings.Properties[s.name]; plain && s.hide != nil && s.hide("redis://h") == hideAll("redis://h") {
			t.Errorf("deploy/helm/statuscache/values.schema.json has the secret %s among the settings; move it to secrets", s.name)
		}
		delete(values, s.name)
	}
	if left := slices.Sorted(maps.Keys(values)); len(left) > 0 {
		t.Errorf("deploy/helm/statuscache/values.schema.json has %v, which are not settings", left)
	}
}
