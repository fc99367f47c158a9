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

// Introspection returns the server that checks all other tokens, nil if there is none.
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
