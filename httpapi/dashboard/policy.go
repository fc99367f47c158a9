package dashboard

import (
	"net/url"
	"slices"
	"strings"
)

// Policy returns the Content-Security-Policy of the page. It allows the page's own files, the
// API on the same origin, and, if users sign in at an issuer, the endpoints of the issuer.
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

// issuerOrigins returns the origins from which the page fetches the issuer's configuration
// and tokens. Until Run has found the token endpoint, only that of Cognito is guessed: it is
// always on another host.
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
