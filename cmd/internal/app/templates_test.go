package app

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"
)

// The files in deploy/ that run statusd on ECS.
var taskFiles = []string{"../../../deploy/cloudformation/service.yaml", "../../../deploy/terraform/modules/service/tasks.tf"}

// TestTasksSetOnlySettingsThatExist, since statusd ignores variables that it does not know.
func TestTasksSetOnlySettingsThatExist(t *testing.T) {
	t.Parallel()
	assigned := regexp.MustCompile(`(?m)(?:Name: |[{,] |^ +)([A-Z]+(?:_[A-Z]+)+|ROLE)(?:, Value| +=)`)
	for _, file := range taskFiles {
		found := assigned.FindAllStringSubmatch(fileText(t, file), -1)
		if len(found) < 6 {
			t.Errorf("%s: only %d settings were found", file, len(found))
		}
		for _, match := range found {
			known := slices.ContainsFunc(settings, func(s setting) bool { return s.name == match[1] })
			if !known && match[1] != "AWS_REGION" {
				t.Errorf("%s: statusd has no setting %s", file, match[1])
			}
		}
	}
}

// TestTasksHaveTimeToStop: ECS kills a task that has not stopped in time. statusd first keeps
// serving for up to 4 seconds.
func TestTasksHaveTimeToStop(t *testing.T) {
	t.Parallel()
	i := slices.IndexFunc(settings, func(s setting) bool { return s.name == "SHUTDOWN_TIMEOUT" })
	limit, err := time.ParseDuration(settings[i].preset)
	if err != nil {
		t.Fatal(err)
	}
	given := regexp.MustCompile(`(?i)stopTimeout(?:: | += )(\d+)`)
	for _, file := range taskFiles {
		found := given.FindAllStringSubmatch(fileText(t, file), -1)
		if found == nil {
			t.Errorf("%s: no time to stop is set", file)
		}
		for _, match := range found {
			if seconds, _ := strconv.Atoi(match[1]); time.Duration(seconds)*time.Second < limit+4*time.Second {
				t.Errorf("%s: %d s, but stopping may take %v after the first 4 s", file, seconds, limit)
			}
		}
	}
}

func fileText(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
