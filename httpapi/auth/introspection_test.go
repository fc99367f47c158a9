package auth

import (
	"testing"
	"time"
)

// TestATokenWithoutAnExpiryIsValid: some platforms send an expiry that no time can represent.
func TestATokenWithoutAnExpiryIsValid(t *testing.T) {
	t.Parallel()
	i := &introspector{options: Introspection{OwnerClaim: "sub"}, now: time.Now}
	for _, end := range []float64{1e12, 1e19, 1e300} {
		p, refusal := i.principal(&introspected{Active: true, Expires: &end, Claims: map[string]any{"sub": "ada"}})
		if refusal != nil || !p.Expires.After(time.Now()) {
			t.Errorf("exp %g: ends %v, refused: %v", end, p.Expires, refusal)
		}
	}
}
