package dashboard

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
)

const (
	discoveryLimit = 10 * time.Second
	discoveryRetry = 5 * time.Second
	discoveryEvery = time.Hour // the endpoint seldom changes
)

// Run finds the token endpoint of the issuer, which may be on another host, and looks for
// changes until ctx ends. Until it is found, the page can fetch tokens only from the issuer
// itself. discover returns the token endpoint of an issuer.
func (d *Dashboard) Run(ctx context.Context, discover func(ctx context.Context, issuer string) (string, error)) error {
	if d.options.ClientID == "" {
		<-ctx.Done()
		return nil
	}
	for {
		wait := discoveryEvery
		if origin, err := d.tokenOrigin(ctx, discover); err == nil {
			d.tokens.Store(&origin)
		} else {
			wait = discoveryRetry // the last known endpoint stays allowed
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

func (d *Dashboard) tokenOrigin(ctx context.Context, discover func(ctx context.Context, issuer string) (string, error)) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, discoveryLimit)
	defer cancel()
	endpoint, err := discover(ctx, d.options.Issuer)
	if err != nil {
		return "", err
	}
	return originOf(d.options.Issuer, endpoint)
}

// plainOrigin does not match characters that have a meaning in a policy.
var plainOrigin = regexp.MustCompile(`^https?://[A-Za-z0-9.:\[\]-]+$`)

// originOf returns the origin of an endpoint, which must be as safe as the issuer.
func originOf(issuer, endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", fmt.Errorf("discover the issuer: %w", err)
	}
	origin := u.Scheme + "://" + u.Host
	if !plainOrigin.MatchString(origin) || strings.HasPrefix(issuer, "https:") && u.Scheme != "https" {
		return "", fmt.Errorf("discover the issuer: tokens cannot be fetched from %q", endpoint)
	}
	return origin, nil
}
