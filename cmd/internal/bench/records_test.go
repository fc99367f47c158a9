package main

import (
	"strings"
	"testing"

	"statuscache/cache"
)

func TestRecordNames(t *testing.T) {
	t.Parallel()
	for i, want := range map[int]string{0: "bench-0000000", 1234567: "bench-1234567"} {
		arn := recordARN(i)
		if !strings.HasSuffix(arn, ":"+want) {
			t.Errorf("%d: %s does not end with %s", i, arn, want)
		}
		if _, err := cache.ParseARN(arn); err != nil {
			t.Errorf("%s: %v", arn, err)
		}
	}
}

func TestRecordKey(t *testing.T) {
	t.Parallel()
	arn := recordARN(0)
	got := recordKey(arn)
	if !strings.HasPrefix(got, "sc:{") || !strings.HasSuffix(got, "}:execution:"+arn) {
		t.Errorf("got %s", got)
	}
}
