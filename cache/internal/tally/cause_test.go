package tally

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// TestTemplates: what varies from failure to failure is taken out, and nothing else.
func TestTemplates(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		"":                            "",
		"Task timed out after 25 s":   "Task timed out after # s",
		"Task timed out after 3.00 s": "Task timed out after # s",
		"took 25ms, limit -5":         "took #ms, limit -#",
		"host 10.0.12.1:8080 is down": "host # is down",
		"at 2026-02-10T12:00:00.123Z": "at #T#Z",
		"id 550e8400-e29b-41d4-a716-446655440000 is unknown":                              "id # is unknown",
		"id 550E8400-E29B-41D4-A716-446655440000":                                         "id #",
		"arn:aws:s3:::bucket/key-9 is gone":                                               "# is gone",
		"(arn:aws:lambda:eu-west-1:123456789012:function:f) failed, arn:aws-cn:sns:x:y:z": "(#) failed, #",
		"user \"Ada Lovelace\" not found":                                                 "user \"#\" not found",
		"user 'ada' not found":                                                            "user '#' not found",
		"table `orders` is locked":                                                        "table `#` is locked",
		"can't open the user's file":                                                      "can't open the user's file",
		"can't open 'the user's file'":                                                    "can't open '#'",
		"an odd \" quote":                                                                 "an odd \" quote",
		"commit deadbeef of 0x1F":                                                         "commit deadbeef of #",
		"commit dead1234 failed":                                                          "commit # failed",
		"digest abcdefabcdefabcd":                                                         "digest #",
		"request a1b2c3d4e5 refused":                                                      "request # refused",
		"instance i-0abc123def456 is lost":                                                "instance i-# is lost",
		"Lambda2 and S3Exception":                                                         "Lambda# and S#Exception",
		"the 3rd of step_12":                                                              "the #rd of step_#",
		"  white \t\n space  ":                                                            "white space",
		"größer als 5 € – 東京":                                                             "größer als # € – 東京",
		"bad \xff byte":                                                                   "bad \uFFFD byte",
		"1/2/3 and 4, 5":                                                                  "# and #, #",
		`{"a":1,"b":"x"}`:                                                                 `{"#":#,"#":"#"}`,
	} {
		if got := Template(message); got != want {
			t.Errorf("%q becomes %q, want %q", message, got, want)
		}
	}
}

// TestACauseHasTheNameOnce: a message as the API reports it begins with the error name.
func TestACauseHasTheNameOnce(t *testing.T) {
	t.Parallel()
	m := MachineOf("a machine")
	for _, c := range []struct{ name, message, template string }{
		{"States.Timeout", "States.Timeout: Task timed out after 3 s", "Task timed out after # s"},
		{"States.Timeout", "States.Timeout", ""},
		{"Boom", "Boomerang: no", "Boomerang: no"},
		{"", ": no", ": no"},
	} {
		if got := CauseOf(m, c.name, c.message); got != (Cause{m, c.name, c.template}) {
			t.Errorf("%q, %q: %+v", c.name, c.message, got)
		}
	}
	if CauseOf(m, "ab", "c").Group() == CauseOf(m, "a", "bc").Group() {
		t.Error("two causes are one group")
	}
	if long := CauseOf(m, strings.Repeat("é", 500), ""); len(long.Error) != MaxError || !utf8.ValidString(long.Error) {
		t.Errorf("an error name of %d bytes", len(long.Error))
	}
}

// FuzzTemplate: whatever the message, the template is short and valid, and numbers do not
// matter.
func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"Task timed out after 25 s", "user \"x\" 'y' `z`", "arn:aws:s3:::b", strings.Repeat("'a ", 3000), "\xff\xfe 0x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Template(s)
		if len(got) > MaxTemplate || !utf8.ValidString(got) {
			t.Errorf("%q becomes %q of %d bytes", s, got, len(got))
		}
		for i := range len(got) {
			if digit(got[i]) {
				t.Errorf("%q becomes %q, with a digit", s, got)
			}
		}
	})
}
