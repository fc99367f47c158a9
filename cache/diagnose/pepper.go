package diagnose

import (
	"context"

	"statuscache/cache/internal/redisdb"
)

// PepperChecker compares API_KEY_PEPPER with the pepper of the API keys in Redis. compared
// is false if there is nothing to compare. If it is true, an error means that they differ;
// otherwise that they cannot be compared.
type PepperChecker interface {
	CheckPepper(ctx context.Context) (compared bool, err error)
}

// diagnosePepper checks whether the API keys in Redis can be found with API_KEY_PEPPER.
func diagnosePepper(ctx context.Context, keys PepperChecker, reached bool) Finding {
	const name = "API key pepper"
	if !reached {
		return NotChecked(name, "Redis does not answer")
	}
	switch compared, err := keys.CheckPepper(ctx); {
	case compared && err != nil:
		return unfit(name, err)
	case err != nil:
		return NotChecked(name, redisdb.OneLine(err))
	case !compared:
		return Undecided(name, "API_KEY_PEPPER is not set, or no API key was created in this Redis yet")
	}
	return Finding{Check: name, Detail: "API_KEY_PEPPER matches the API keys in Redis"}
}
