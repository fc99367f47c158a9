package app

import "statuscache/httpapi/auth"

func parseIntrospectionSecret(c *Config, s string) error {
	c.IntrospectionSecret = s
	if s == "" {
		return nil
	}
	_, err := readPassword(s)
	return err
}

// Introspection says who judges other tokens, nil for nobody.
func (c *Config) Introspection() *auth.Introspection {
	if c.IntrospectionURL == "" {
		return nil
	}
	return &auth.Introspection{
		URL: c.IntrospectionURL, ClientID: c.IntrospectionClientID,
		Secret:     func() (string, error) { return readPassword(c.IntrospectionSecret) },
		OwnerClaim: c.JWTOwnerClaim, ScopePrefix: c.JWTScopePrefix,
	}
}
