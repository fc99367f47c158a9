package httpapi

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"
)

// How the signing keys of the issuer are kept.
const (
	keysRefresh    = 15 * time.Minute // without any sign that they changed
	keysMinPause   = 10 * time.Second // between two fetches, whatever is asked for
	keysFetchLimit = 5 * time.Second
	maxKeysBytes   = 1 << 20
	minRSABits     = 2048
)

var (
	errNoKeys     = errors.New("the signing keys of the issuer are not known yet")
	errUnknownKey = errors.New("the token names a key that the issuer does not have")
)

// keySet holds the public keys of an issuer. It is never empty by a fetch that
// failed: the last good keys stay. Requests never wait for it.
type keySet struct {
	url    string
	client *http.Client
	log    *slog.Logger
	keys   atomic.Pointer[keyGeneration]
	stale  chan struct{} // a key was asked for that is not there
}

type keyGeneration struct {
	byID   map[string]*rsa.PublicKey
	number uint64
}

func newKeySet(url string, log *slog.Logger) *keySet {
	return &keySet{url: url, client: &http.Client{Timeout: keysFetchLimit}, log: log, stale: make(chan struct{}, 1)}
}

// find returns the key with an id. If there is none, the keys are fetched again
// in the background.
func (k *keySet) find(id string) (*rsa.PublicKey, error) {
	g := k.keys.Load()
	if g == nil {
		return nil, errNoKeys
	}
	if key, ok := g.byID[id]; ok {
		return key, nil
	}
	select {
	case k.stale <- struct{}{}:
	default:
	}
	return nil, errUnknownKey
}

// generation changes when the keys do.
func (k *keySet) generation() uint64 {
	if g := k.keys.Load(); g != nil {
		return g.number
	}
	return 0
}

// ready returns nil if there are keys.
func (k *keySet) ready() error {
	if k.keys.Load() == nil {
		return errNoKeys
	}
	return nil
}

// run keeps the keys fresh until ctx ends.
func (k *keySet) run(ctx context.Context) error {
	for ctx.Err() == nil {
		pause := keysRefresh - rand.N(keysRefresh/10)
		if err := k.fetch(ctx); err != nil && ctx.Err() == nil {
			pause = keysMinPause
			k.log.Warn("signing keys not fetched; keeping those there are", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(keysMinPause):
			k.wait(ctx, pause-keysMinPause)
		}
	}
	return nil
}

// wait returns after a pause, or at once when a key was missed.
func (k *keySet) wait(ctx context.Context, pause time.Duration) {
	select {
	case <-ctx.Done():
	case <-k.stale:
	case <-time.After(pause):
	}
}

func (k *keySet) fetch(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return err
	}
	answer, err := k.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", answer.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxKeysBytes))
	if err != nil {
		return err
	}
	byID, err := parseKeys(body)
	if err != nil {
		return err
	}
	if before := k.keys.Load(); before == nil || !maps.EqualFunc(before.byID, byID, samePublicKey) {
		k.keys.Store(&keyGeneration{byID: byID, number: k.generation() + 1})
	}
	return nil
}

func samePublicKey(a, b *rsa.PublicKey) bool {
	return a.Equal(b)
}

// parseKeys reads a JWK set. What is no RSA key for signatures is left out; a
// set without any is an error.
func parseKeys(body []byte) (map[string]*rsa.PublicKey, error) {
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, errors.New("not a JWK set")
	}
	keys := map[string]*rsa.PublicKey{}
	for _, raw := range set.Keys {
		jwk, err := jwkset.NewJWKFromRawJSON(raw, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
		if err != nil {
			continue
		}
		meta := jwk.Marshal()
		key, ok := jwk.Key().(*rsa.PublicKey)
		usable := (meta.USE == "" || meta.USE == jwkset.UseSig) && (meta.ALG == "" || meta.ALG == jwkset.AlgRS256)
		if ok && usable && meta.KID != "" && key.N.BitLen() >= minRSABits {
			keys[meta.KID] = key
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("no usable key in the JWK set")
	}
	return keys, nil
}
