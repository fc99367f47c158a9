package arn

import (
	"net/url"
	"strings"
)

// Find returns the ARN of an execution or of a state machine in a pasted text: the ARN
// alone, with quotes, brackets or white space around it, percent-encoded, or in the URL
// of a page of the AWS console,
//
//	https://eu-west-1.console.aws.amazon.com/states/home?region=eu-west-1#/v2/executions/details/arn%3Aaws%3Astates…
//
// It returns "" if there is none. If other words follow after white space, it returns ""
// as well, because it is not clear which ARN was meant.
func Find(text string) string {
	const start = "arn:aws"
	for range maxEncodings {
		decoded, err := url.PathUnescape(text) // names contain no percent sign
		if err != nil {
			break
		}
		text = decoded
	}
	at := strings.LastIndex(text, start)
	if at < 0 {
		return ""
	}
	before, text := text[:at], text[at:]
	if strings.HasSuffix(before, "'") { // names may contain one
		text, _, _ = strings.Cut(text, "'")
	}
	if strings.HasSuffix(before, "“") {
		text, _, _ = strings.Cut(text, "”")
	}
	for end := min(len(text), maxARNLength); end > 0; end-- {
		if !isARN(text[:end]) {
			continue
		}
		if rest := text[end:]; strings.TrimSpace(rest) != "" && strings.TrimSpace(rest[:1]) == "" {
			return ""
		}
		return text[:end]
	}
	return ""
}

// maxEncodings is how often a text may be percent-encoded, because a URL may be part of
// another URL.
const maxEncodings = 2

func isARN(s string) bool {
	if _, err := Parse(s); err == nil {
		return true
	}
	_, err := ParseStateMachine(s)
	return err == nil
}
