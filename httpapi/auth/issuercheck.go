package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// IssuerFault is a difference between an issuer and the settings. Because of it, valid
// tokens would be refused.
type IssuerFault struct {
	Problem string // what is wrong, with the values that do not agree
	Fix     string // which setting to change
}

// discovery is the OpenID Connect Discovery document of an issuer.
type discovery struct {
	Issuer  string `json:"issuer"`
	JWKSURI string `json:"jwks_uri"`
	Tokens  string `json:"token_endpoint"`
}

// TokenEndpoint returns the token endpoint of an issuer, from its discovery document.
func TokenEndpoint(ctx context.Context, issuer string) (string, error) {
	published, err := discover(ctx, http.DefaultClient, issuer)
	if err != nil {
		return "", fmt.Errorf("discover the issuer: %w", err)
	}
	if published.Issuer != issuer {
		return "", fmt.Errorf("discover the issuer: its discovery document names the issuer %q", published.Issuer)
	}
	return published.Tokens, nil
}

// CheckIssuer checks whether an issuer matches the settings: its discovery document names
// it exactly as JWT_ISSUER does, and its keys are at the URL from which they will be
// fetched. It sends the issuer at most two requests. An issuer without a discovery
// document is allowed.
func CheckIssuer(ctx context.Context, client *http.Client, j JWT) []IssuerFault {
	var faults []IssuerFault
	published, err := discover(ctx, client, j.Issuer)
	if err == nil && published.Issuer != j.Issuer {
		faults = append(faults, IssuerFault{
			fmt.Sprintf("the issuer names itself %q, but JWT_ISSUER is %q%s: all its tokens are refused", published.Issuer, j.Issuer, bySlash(published.Issuer, j.Issuer)),
			"set JWT_ISSUER=" + published.Issuer,
		})
	}
	keys := newKeySet(j.keysURL(), nil)
	keys.client = client
	if _, err := keys.load(ctx); err != nil {
		fix := "check that JWT_ISSUER is correct and can be reached from here"
		if published.JWKSURI != "" && published.JWKSURI != keys.url {
			fix = "set JWT_JWKS_URL=" + published.JWKSURI
		}
		faults = append(faults, IssuerFault{fmt.Sprintf("there are no keys for verifying tokens at %s: %v", keys.url, err), fix})
	} else if published.JWKSURI != "" && published.JWKSURI != keys.url {
		faults = append(faults, IssuerFault{
			fmt.Sprintf("the issuer has its keys at %s, but they are fetched from %s", published.JWKSURI, keys.url),
			"set JWT_JWKS_URL=" + published.JWKSURI,
		})
	}
	return faults
}

func discover(ctx context.Context, client *http.Client, issuer string) (discovery, error) {
	var d discovery
	body, err := getDocument(ctx, client, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return d, err
	}
	err = json.Unmarshal(body, &d)
	return d, err
}

// keysURL is the URL from which the keys are fetched.
func (j JWT) keysURL() string {
	if j.JWKSURL != "" {
		return j.JWKSURL
	}
	return strings.TrimSuffix(j.Issuer, "/") + "/.well-known/jwks.json"
}

// bySlash returns a hint if two issuers differ only by a slash at the end, which is easy
// to overlook.
func bySlash(a, b string) string {
	if a != b && strings.TrimRight(a, "/") == strings.TrimRight(b, "/") {
		return " (they differ by a slash at the end)"
	}
	return ""
}
