package diagnose

import (
	"context"
	"fmt"
	"time"

	"statuscache/cache"
)

// censusReach is the maximum age of a registration in the census, because the audit removes
// older ones.
const censusReach = 24 * time.Hour

// diagnoseOwners checks whether the owners of executions can read them.
func diagnoseOwners(ctx context.Context, c *cache.Cache, reached bool) Finding {
	const name = "owners"
	if !reached {
		return NotChecked(name, "Redis does not answer")
	}
	s, err := TakeCensus(ctx, c, censusReach)
	switch {
	case err != nil:
		return NotChecked(name, err.Error())
	case s.Looked == 0:
		return Undecided(name, "no execution has been known for more than a minute")
	case s.MostAreOwnerless():
		return Finding{
			Check:   name,
			Problem: fmt.Sprintf("%d of the %d newest executions have no owner, so only operators can read them; one is %s", s.Ownerless, s.Looked, s.OwnerlessExample),
			Fix:     "register executions with POST /v1/executions where they are started, or set OWNER_PATH to the path of the owner in their input",
		}
	}
	return Finding{Check: name, Detail: fmt.Sprintf("%d of the %d newest executions have no owner", s.Ownerless, s.Looked)}
}
