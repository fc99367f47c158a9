package dashboard

import (
	"net/url"
	"slices"
	"strings"
)

// Policy is the Content-Security-Policy of the page: its own files, the API beside it, and
// the endpoints of the issuer where people sign in there.
func (d *Dashboard) Policy() string {
	connect := append([]string{"'self'"}, d.issuerOrigins()...)
	return strings.Join([]string{
		"default-src 'none'",
		"script-src 'self'",
		"style-src 'self'",
		"img-src 'self'",
		"connect-src " + strings.Join(connect, " "),
		"base-uri 'none'",
		"form-action 'none'",
		"frame-ancestors 'none'",
		"require-trusted-types-for 'script'",
	}, "; ")
}

// issuerOrigins are where the page fetches the issuer's configuration and its tokens. Until
// Run knows the second one, it is guessed where it is known to be another host: for Cognito.
func (d *Dashboard) issuerOrigins() []string {
	if d.options.ClientID == "" {
		return nil
	}
	u, err := url.Parse(d.options.Issuer)
	if err != nil || u.Host == "" {
		return nil
	}
	origins := []string{u.Scheme + "://" + u.Host}
	if tokens := d.tokens.Load(); tokens != nil {
		return slices.Compact(append(origins, *tokens))
	}
	if region, of := cognitoRegion(u.Hostname()); of {
		origins = append(origins, "https://*.auth."+region+".amazoncognito.com")
	}
	return origins
}

func cognitoRegion(host string) (region string, of bool) {
	rest, of := strings.CutPrefix(host, "cognito-idp.")
	if !of {
		return "", false
	}
	return strings.CutSuffix(rest, ".amazonaws.com")
}
