package apikeys

import (
	"context"
	"encoding/hex"
	"slices"
	"time"
)

// adoptedPrefix is the beginning of the names of imported keys. Their first characters
// would reveal too much of a short secret.
const adoptedPrefix = "ext_"

// Foreign is an API key of another system, with the secret that its callers send.
type Foreign struct {
	Key    Key // Name, Owner, Scope and DailyLimit count
	Secret string
}

// Adopted is a key that Adopt has stored.
type Adopted struct {
	Key    Key
	Before bool // it was already stored
}

// Conflict is a key that cannot be adopted because another key has the same secret.
type Conflict struct {
	Index   int // in what was given to Adopt
	Present Key
}

// Adopt stores API keys of another system, as their HMACs. Their secrets must be valid and
// different. If there are conflicts, nothing is stored. Keys that are already stored are not
// changed.
func (k *Keys) Adopt(ctx context.Context, foreign []Foreign) ([]Adopted, []Conflict, error) {
	if err := k.claimPepper(ctx); err != nil {
		return nil, nil, err
	}
	stored, err := k.List(ctx)
	if err != nil {
		return nil, nil, err
	}
	byHash := make(map[string]*Key, len(stored))
	for i := range stored {
		byHash[stored[i].Hash] = &stored[i]
	}
	adopted, conflicts := k.compare(foreign, byHash)
	if len(conflicts) > 0 {
		return nil, conflicts, nil
	}
	var fresh []Key
	for _, a := range adopted {
		if !a.Before {
			fresh = append(fresh, a.Key)
		}
	}
	for some := range slices.Chunk(fresh, keysAtOnce) {
		if _, err := k.put(ctx, some); err != nil {
			return nil, nil, err
		}
	}
	return adopted, nil, nil
}

// compare determines which keys are already stored.
func (k *Keys) compare(foreign []Foreign, stored map[string]*Key) (adopted []Adopted, conflicts []Conflict) {
	now := time.Now().UTC().Truncate(time.Millisecond)
	for i, f := range foreign {
		h := k.hash(f.Secret)
		key := Key{
			Hash: hex.EncodeToString(h[:]), Name: f.Key.Name, Owner: f.Key.Owner, Scope: f.Key.Scope,
			DailyLimit: f.Key.DailyLimit, CreatedAt: now,
		}
		key.Prefix = adoptedPrefix + key.Hash[:8]
		present := stored[key.Hash]
		switch {
		case present == nil:
			adopted = append(adopted, Adopted{Key: key})
		case present.Revoked() || !present.same(&key):
			conflicts = append(conflicts, Conflict{i, *present})
		default:
			adopted = append(adopted, Adopted{*present, true})
		}
	}
	return adopted, conflicts
}

// same reports whether two keys have the same permissions.
func (k *Key) same(other *Key) bool {
	return k.Name == other.Name && k.Owner == other.Owner && k.Scope == other.Scope && k.DailyLimit == other.DailyLimit &&
		slices.Equal(k.StateMachines, other.StateMachines)
}
