package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// IssuerFault is a difference between an issuer and the settings for which valid tokens
// would be refused.
type IssuerFault struct {
	Problem string // what is wrong, with the values that do not agree
	Fix     string // which setting to change
}

// discovery is what OpenID Connect Discovery says of an issuer.
type discovery struct {
	Issuer  string `json:"issuer"`
	JWKSURI string `json:"jwks_uri"`
	Tokens  string `json:"token_endpoint"`
}

// TokenEndpoint returns where an issuer gives tokens, as its discovery document says.
func TokenEndpoint(ctx context.Context, issuer string) (string, error) {
	published, err := discover(ctx, http.DefaultClient, issuer)
	if err != nil {
		return "", fmt.Errorf("discover the issuer: %w", err)
	}
	if published.Issuer != issuer {
		return "", fmt.Errorf("discover the issuer: it calls itself %q", published.Issuer)
	}
	return published.Tokens, nil
}

// CheckIssuer checks whether what an issuer publishes agrees with the settings: its
// discovery document has exactly the name of JWT_ISSUER, and its keys are where they will
// be fetched from. It sends the issuer at most two requests. An issuer without a
// discovery document is fine.
func CheckIssuer(ctx context.Context, client *http.Client, j JWT) []IssuerFault {
	var faults []IssuerFault
	published, err := discover(ctx, client, j.Issuer)
	if err == nil && published.Issuer != j.Issuer {
		faults = append(faults, IssuerFault{
			fmt.Sprintf("the issuer calls itself %q, and JWT_ISSUER is %q%s: every one of its tokens is refused", published.Issuer, j.Issuer, bySlash(published.Issuer, j.Issuer)),
			"set JWT_ISSUER=" + published.Issuer,
		})
	}
	keys := newKeySet(j.keysURL(), nil)
	keys.client = client
	if _, err := keys.load(ctx); err != nil {
		fix := "look whether JWT_ISSUER is right and can be reached from here"
		if published.JWKSURI != "" && published.JWKSURI != keys.url {
			fix = "set JWT_JWKS_URL=" + published.JWKSURI
		}
		faults = append(faults, IssuerFault{fmt.Sprintf("there are no keys to verify tokens with at %s: %v", keys.url, err), fix})
	} else if published.JWKSURI != "" && published.JWKSURI != keys.url {
		faults = append(faults, IssuerFault{
			fmt.Sprintf("the issuer has its keys at %s, and they are fetched from %s", published.JWKSURI, keys.url),
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

// keysURL is where the keys are fetched from.
func (j JWT) keysURL() string {
	if j.JWKSURL != "" {
		return j.JWKSURL
	}
	return strings.TrimSuffix(j.Issuer, "/") + "/.well-known/jwks.json"
}

// bySlash says so where two issuers differ in nothing but a slash at the end: it is
// easily overlooked.
func bySlash(a, b string) string {
	if a != b && strings.TrimRight(a, "/") == strings.TrimRight(b, "/") {
		return " (they differ by a slash at the end)"
	}
	return ""
}
