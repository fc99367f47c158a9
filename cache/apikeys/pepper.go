package apikeys

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/internal/redisdb"
)

// API keys are stored under their HMAC with API_KEY_PEPPER. With another pepper every key
// is unknown, which looks like a wrong key. So a fingerprint of the pepper is stored
// together with the first key, and every process compares its pepper with it.

const (
	pepperMark   = "statuscache fingerprint of API_KEY_PEPPER" // is no API key
	pepperLength = 32                                          // hex digits
)

// ErrPepper means that the API keys in Redis were created with another pepper. Its text,
// which is public, says what to do.
var ErrPepper = errors.New("API_KEY_PEPPER is not the secret of the API keys in Redis, so these keys are refused with 401; " +
	"set API_KEY_PEPPER to the secret with which they were created and restart, or revoke them (statusctl keys list, revoke) and create new ones")

// fingerprint returns a hash that distinguishes peppers and reveals nothing else.
func (k *Keys) fingerprint() string {
	sum := k.hash(pepperMark)
	return fmt.Sprintf("%x", sum[:])[:pepperLength]
}

// CheckPepper returns ErrPepper if the API keys in Redis were created with another pepper.
// compared is false if there is nothing to compare: no pepper is set, or no key was
// created yet.
func (k *Keys) CheckPepper(ctx context.Context) (compared bool, err error) {
	if len(k.pepper) == 0 {
		return false, nil
	}
	stored, err := k.db.Writers.Get(ctx, k.db.Names.Pepper).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read the fingerprint of API_KEY_PEPPER: %w", err)
	case !hmac.Equal([]byte(stored), []byte(k.fingerprint())):
		return true, ErrPepper
	}
	return true, nil
}

// WrongPepper returns what CheckPepper finds wrong, empty if nothing is wrong. Its error
// means that Redis did not answer. If the fingerprint is missing although a key was found,
// it is stored again: Redis was emptied and the keys imported, or an earlier release created
// them.
func (k *Keys) WrongPepper(ctx context.Context) (wrong string, err error) {
	compared, err := k.CheckPepper(ctx)
	switch {
	case errors.Is(err, ErrPepper):
		return err.Error(), nil
	case err == nil && !compared && k.found.Load():
		return "", k.storePepper(ctx, "NX")
	}
	return "", err
}

// claimPepper stores the fingerprint before a key is created. It refuses a pepper that differs
// from that of the valid keys.
func (k *Keys) claimPepper(ctx context.Context) error {
	if len(k.pepper) == 0 {
		return errors.New("API_KEY_PEPPER: not set, so API keys cannot be stored; set it to the secret of statusd, or a new one (openssl rand -hex 32)")
	}
	err := k.storePepper(ctx, "NX")
	if err == nil {
		_, err = k.CheckPepper(ctx)
	}
	if !errors.Is(err, ErrPepper) {
		return err
	}
	keys, err := k.List(ctx)
	if err != nil {
		return err
	}
	for i := range keys {
		if !keys[i].Revoked() {
			return ErrPepper
		}
	}
	return k.storePepper(ctx) // all keys that were created with the other pepper are revoked
}

func (k *Keys) storePepper(ctx context.Context, condition ...any) error {
	name := k.db.Names.Pepper
	set := redisdb.NewCommand(name, append([]any{"SET", name, k.fingerprint()}, condition...)...)
	if k.db.Confirm(ctx, set); set.Err != nil {
		return fmt.Errorf("store the fingerprint of API_KEY_PEPPER: %w", k.db.Explain(set.Err))
	}
	return nil
}

// Derive returns a secret of 32 bytes for another purpose than API keys, nil if no pepper
// is set. All processes with the same pepper get the same; one purpose reveals nothing
// about the pepper or about another purpose (HKDF, RFC 5869).
func (k *Keys) Derive(purpose string) []byte {
	if len(k.pepper) == 0 {
		return nil
	}
	secret, err := hkdf.Key(sha256.New, k.pepper, nil, "statuscache "+purpose, sha256.Size)
	if err != nil {
		return nil // only in a FIPS mode that refuses such a short pepper
	}
	return secret
}
