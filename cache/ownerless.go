package cache

import (
	"context"
	"fmt"
	"slices"
)

// mostOwnerless is the part of the newest executions that may be without an owner
// before something is wrong: now and then a person starts one by hand.
const mostOwnerless = 10 // one in so many

// DiagnoseOwners looks for executions that nobody but operators may read, since nothing
// has told whose they are: neither a registration, nor the input at ownerPath (empty: it
// is not looked at).
func (c *Cache) DiagnoseOwners(ctx context.Context, ownerPath string) Finding {
	ctx, cancel := context.WithTimeout(ctx, diagnoseLimit)
	defer cancel()
	const name = "owners"
	newest, err := c.newest(ctx)
	if err != nil {
		return NotChecked(name, err.Error())
	}
	var ownerless []ARN
	for arn, p := range newest {
		if p.owner == "" {
			ownerless = append(ownerless, arn)
		}
	}
	f := Finding{Check: name}
	switch told := fmt.Sprintf("%d of the %d newest executions", len(newest)-len(ownerless), len(newest)); {
	case len(newest) == 0:
		f.Detail = "no execution is known of"
		if ownerPath == "" {
			f.Detail += "; OWNER_PATH is not set, so each has to be registered"
		}
	case len(ownerless) == 0:
		f.Detail = told + " have an owner"
	case len(ownerless)*mostOwnerless <= len(newest):
		f.Detail = told + " have an owner; " + string(slices.Min(ownerless)) + " has none, so only operators may read it"
	default:
		f.Problem = fmt.Sprintf("%d of the %d newest executions have no owner, such as %s, so only operators may read them", len(ownerless), len(newest), slices.Min(ownerless))
		f.Cure = "see that generate registers what it starts (POST /v1/executions), or that the input names the owner at OWNER_PATH=" + ownerPath
		if ownerPath == "" {
			f.Cure = "have generate register what it starts (POST /v1/executions), or set OWNER_PATH to where the input names the owner"
		}
	}
	return f
}
