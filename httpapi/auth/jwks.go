package auth

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
	"sync"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"
)

// How the signing keys of the issuer are kept fresh.
const (
	keysRefresh    = 4 * time.Minute // a key that the issuer has removed is accepted at most this long
	keysRetry      = 10 * time.Second
	keysMinPause   = 2 * time.Second // between two fetches, whatever tokens arrive
	keysFetchLimit = 5 * time.Second
	maxKeysBytes   = 1 << 20
	minRSABits     = 2048

	keyWait    = 300 * time.Millisecond // of a request, for a key that is not known
	maxKeyWait = 100                    // requests at once; others get 503
	lackedFor  = 10 * time.Second       // how long an id counts as unknown
	maxLacked  = 1000                   // ids remembered
	warnEvery  = time.Minute            // while keys cannot be fetched
)

var (
	errNoKeys     = errors.New("the signing keys of the issuer are not known yet")
	errKeysOld    = errors.New("the token's key is not known; the keys of the issuer are being fetched again")
	errUnknownKey = errors.New("the issuer does not have the token's key")
)

// keySet has the public keys of an issuer. If a fetch fails, the last keys stay valid.
//
// Issuers may change their keys at any time, and the first token with a new key arrives
// before the key is known here. So a key ID counts as unknown only after a fetch that
// began later than the request.
type keySet struct {
	url    string
	client *http.Client
	log    *slog.Logger
	keys   atomic.Pointer[keyGeneration]
	wanted chan struct{} // a request needs a key that is not there

	mu      sync.Mutex
	next    *keyFetch            // the fetch that has not begun yet
	waiting int                  // requests that wait for a fetch
	lacked  map[string]time.Time // key IDs that a fetch did not find, and when it began
	failing time.Time            // since when fetches fail; zero: they succeed
	warned  time.Time
}

// keyFetch is a fetch that requests may wait for.
type keyFetch struct {
	asked map[string]struct{} // key ids that requests wait for
	done  chan struct{}
	err   error // once done is closed
}

func newKeyFetch() *keyFetch {
	return &keyFetch{asked: map[string]struct{}{}, done: make(chan struct{})}
}

type keyGeneration struct {
	byID   map[string]*rsa.PublicKey
	number uint64
}

func newKeySet(url string, log *slog.Logger) *keySet {
	return &keySet{
		url: url, client: &http.Client{Timeout: keysFetchLimit}, log: log, wanted: make(chan struct{}, 1),
		next: newKeyFetch(), lacked: map[string]time.Time{},
	}
}

// find returns the key with an ID. If there is none, the keys are fetched again, and the
// caller waits a short time for that.
func (k *keySet) find(ctx context.Context, id string) (*rsa.PublicKey, error) {
	g := k.keys.Load()
	if g == nil {
		return nil, errNoKeys
	}
	if key, ok := g.byID[id]; ok {
		return key, nil
	}
	f, err := k.ask(id)
	if err != nil {
		return nil, err
	}
	defer k.leave()
	limit := time.NewTimer(keyWait)
	defer limit.Stop()
	select {
	case <-f.done:
	case <-limit.C:
		return nil, errKeysOld
	case <-ctx.Done():
		return nil, errKeysOld
	}
	if f.err != nil {
		return nil, errKeysOld
	}
	if key, ok := k.keys.Load().byID[id]; ok {
		return key, nil
	}
	return nil, errUnknownKey
}

// ask requests a fetch because of an unknown key ID. It returns the fetch to wait for, or
// why there is none. leave must be called after waiting.
func (k *keySet) ask(id string) (*keyFetch, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	select {
	case k.wanted <- struct{}{}:
	default:
	}
	if len(k.next.asked) < maxLacked {
		k.next.asked[id] = struct{}{}
	}
	if began, ok := k.lacked[id]; ok && time.Since(began) < lackedFor {
		return nil, errUnknownKey
	}
	if k.waiting >= maxKeyWait {
		return nil, errKeysOld
	}
	k.waiting++
	return k.next, nil
}

func (k *keySet) leave() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.waiting--
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
		began := time.Now()
		pause := keysRefresh - rand.N(keysRefresh/10)
		if err := k.fetch(ctx); err != nil {
			pause = keysRetry
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(began.Add(keysMinPause))):
			k.wait(ctx, time.Until(began.Add(pause)))
		}
	}
	return nil
}

// wait returns after a pause, or at once when an unknown key is requested.
func (k *keySet) wait(ctx context.Context, pause time.Duration) {
	select {
	case <-ctx.Done():
	case <-k.wanted:
	case <-time.After(pause):
	}
}

// fetch replaces the keys with the current keys of the issuer.
func (k *keySet) fetch(ctx context.Context) error {
	f, began := k.begin()
	byID, err := k.load(ctx)
	if err == nil {
		k.replace(byID, f.asked, began)
	}
	f.err = err
	close(f.done)
	if ctx.Err() == nil {
		k.report(err)
	}
	return err
}

// begin returns the fetch that begins now. Later requests wait for the next fetch.
func (k *keySet) begin() (*keyFetch, time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	select {
	case <-k.wanted:
	default:
	}
	f := k.next
	k.next = newKeyFetch()
	return f, time.Now()
}

// replace stores the keys of a fetch. Key IDs that were requested before the fetch began
// and are not among the keys count as unknown for some time, and so do removed keys.
func (k *keySet) replace(byID map[string]*rsa.PublicKey, asked map[string]struct{}, began time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	maps.DeleteFunc(k.lacked, func(_ string, at time.Time) bool { return began.Sub(at) >= lackedFor })
	lack := func(id string) {
		if _, ok := byID[id]; !ok && len(k.lacked) < maxLacked {
			k.lacked[id] = began
		}
	}
	before := k.keys.Load()
	if before != nil {
		for id := range before.byID {
			lack(id)
		}
	}
	for id := range asked {
		lack(id)
	}
	if before == nil || !maps.EqualFunc(before.byID, byID, samePublicKey) {
		k.keys.Store(&keyGeneration{byID: byID, number: k.generation() + 1})
	}
}

// report logs when fetches begin to fail, occasionally while they fail, and when they
// work again.
func (k *keySet) report(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	switch {
	case err == nil && k.failing.IsZero():
	case err == nil:
		k.log.Info("the signing keys can be fetched again", "url", k.url, "failed for", now.Sub(k.failing).Round(time.Second).String())
		k.failing, k.warned = time.Time{}, time.Time{}
	case now.Sub(k.warned) >= warnEvery:
		if k.failing.IsZero() {
			k.failing = now
		}
		k.warned = now
		k.log.Warn("cannot fetch the signing keys; the last fetched keys stay valid; check that JWT_ISSUER or JWT_JWKS_URL is correct and can be reached from here",
			"url", k.url, "failed for", now.Sub(k.failing).Round(time.Second).String(), "error", err)
	}
}

// load fetches the key set from the issuer.
func (k *keySet) load(ctx context.Context) (map[string]*rsa.PublicKey, error) {
	body, err := getDocument(ctx, k.client, k.url)
	if err != nil {
		return nil, err
	}
	return parseKeys(body)
}

// getDocument returns the document of an issuer at a URL.
func getDocument(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", answer.StatusCode)
	}
	return io.ReadAll(io.LimitReader(answer.Body, maxKeysBytes))
}

func samePublicKey(a, b *rsa.PublicKey) bool {
	return a.Equal(b)
}

// parseKeys reads a JWK set. It leaves out keys that are not RSA keys for signatures; a
// set without a usable key is an error.
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
