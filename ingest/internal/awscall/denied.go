package awscall

import (
	"regexp"
	"strings"

	"github.com/aws/smithy-go"
)

var (
	actionDenied = regexp.MustCompile(`to perform: ([a-zA-Z0-9-]+:[a-zA-Z0-9]+)`)
	policyDenied = regexp.MustCompile(`(?:because|with an?) ([^.;]*(?:polic(?:y|ies)|boundar(?:y|ies))[^.;]*)`)
)

func explicitlyDenied(text string) bool { return strings.Contains(text, "explicit deny") }

// grants has the place where a permission is missing, by the kind of policy that AWS names.
var grants = []struct{ policy, where string }{
	{"permissions boundary", " in the permissions boundary of the role too"},
	{"session policy", " in the session policy too, which is passed when the role is assumed"},
	{"service control polic", " in the service control policies of the organization too"},
	{"resource control polic", " in the resource control policies of the organization too"},
	{"VPC endpoint policy", " in the policy of the VPC endpoint too"},
	{"resource-based policy", " to this role in the policy of the resource itself"},
	{"identity-based policy", " in a policy of the role"},
}

// deniedText says what to grant, and in which kind of policy if AWS reports it. No grant
// helps against a policy that denies.
func deniedText(permission string, api smithy.APIError) string {
	text := "access denied"
	if action := actionDenied.FindStringSubmatch(api.ErrorMessage()); action != nil {
		text += " to " + action[1]
		if strings.HasPrefix(action[1], "kms:") {
			permission = action[1] + " on the encryption key, in its policy too"
		}
	}
	policy := ""
	if found := policyDenied.FindStringSubmatch(api.ErrorMessage()); found != nil {
		policy = found[1]
		text += " (" + Line(policy) + ")"
	}
	return text + "; " + grant(permission, policy)
}

// grant says how to get a missing permission, from the text of AWS about the policy.
func grant(permission, policy string) string {
	if explicitlyDenied(policy) {
		return "a statement of that policy denies the call, so another grant does not help: change the statement so that it does not apply to this role (it needs  " + permission + ")"
	}
	for _, g := range grants {
		if strings.Contains(policy, g.policy) {
			return "grant " + permission + g.where
		}
	}
	return "grant " + permission
}

func isKMS(code string) bool {
	return strings.HasPrefix(code, "Kms") || strings.HasPrefix(code, "KMS.")
}

// keyText explains that a KMS key cannot be used.
func keyText(service string, api smithy.APIError) (brief, text string) {
	key := "the encryption key"
	if service == "SQS" {
		key = "the queue's encryption key"
	}
	return key + " cannot be used", key + " cannot be used (" + api.ErrorCode() + ": " + message(api) + "); " + keyCure(api)
}

// keyCure returns what to do about a key. Data that it has encrypted cannot be read without it.
func keyCure(api smithy.APIError) string {
	for _, c := range []struct{ code, hint string }{
		{"Disabled", "enable the key: aws kms enable-key"},
		{"InvalidState", "aws kms describe-key shows the state of the key: if it is pending deletion, cancel the deletion (aws kms cancel-key-deletion), then enable the key"},
		{"NotFound", "there is no such key: set a key that exists in AWS_REGION; messages that the old key has encrypted cannot be read"},
		{"InvalidKeyUsage", "use a symmetric key for encryption and decryption"},
		{"OptIn", "complete the registration of the account for AWS KMS"},
	} {
		if strings.Contains(api.ErrorCode(), c.code) {
			return c.hint
		}
	}
	if explicitlyDenied(api.ErrorMessage()) {
		return grant("kms:Decrypt", api.ErrorMessage())
	}
	return "grant kms:Decrypt on it to this role, in the policy of the key too"
}
