package diagnose

import "strings"

// Finding is the result of a check of the setup.
type Finding struct {
	Check   string `json:"check"`            // what was checked
	Detail  string `json:"detail,omitempty"` // what was found
	Problem string `json:"problem,omitempty"`
	Fix     string `json:"cure,omitempty"` // of the problem
}

const notChecked = "not checked, because "

// NotChecked returns the finding of a check that could not be made: why is the rest of a sentence.
func NotChecked(check, why string) Finding {
	return Finding{Check: check, Problem: notChecked + why}
}

// Undecided returns the finding of a check that found nothing to compare, which is not a
// problem: why is the rest of a sentence.
func Undecided(check, why string) Finding {
	return Finding{Check: check, Detail: notChecked + why}
}

// OK reports whether a check was made and found nothing wrong.
func (f Finding) OK() bool { return f.Problem == "" && !f.Unchecked() }

// Unchecked reports whether a check was not made.
func (f Finding) Unchecked() bool { return strings.HasPrefix(f.Problem+f.Detail, notChecked) }

// Failed reports whether a check could not be made. An Undecided finding has not
// failed.
func (f Finding) Failed() bool { return f.Unchecked() && f.Problem != "" }

const mostGrave = 3

// gravity returns how serious a finding is, 0 to mostGrave.
func (f Finding) gravity() int {
	switch {
	case f.OK():
		return 0
	case f.Failed():
		return 2
	case f.Unchecked():
		return 1
	}
	return mostGrave
}
