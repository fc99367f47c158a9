package cache

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Errors that callers decide on.
var (
	// ErrNotFound says that nothing is known of an execution. It does not say
	// that there is none: its first event may still be on the way.
	ErrNotFound = errors.New("execution not known")
	// ErrOwnerConflict says that an execution was registered before with another
	// owner.
	ErrOwnerConflict = errors.New("registered before with another owner")
	// ErrKeyNotFound says that there is no such API key.
	ErrKeyNotFound = errors.New("API key not known")
	// ErrOverloaded says that too many reads are waiting for Redis already.
	ErrOverloaded = errors.New("too many reads are waiting for Redis")
)

// Verdict is what became of an observation.
type Verdict string

// The verdicts. Each but Unconfirmed is final, and applying the observation
// again changes nothing.
const (
	Applied     Verdict = "applied"     // it is the newest state now
	Superseded  Verdict = "superseded"  // as new or newer was there already
	Expired     Verdict = "expired"     // older than anything that is kept
	Unconfirmed Verdict = "unconfirmed" // Redis did not confirm it; Err says why
)

// Outcome is what became of one observation of an Apply.
type Outcome struct {
	Verdict Verdict
	Err     error // set exactly if Verdict is Unconfirmed
}

// Registration announces an execution that is about to start, and whose it is.
type Registration struct {
	ARN       ARN
	Owner     string
	StartDate time.Time // zero: now, by the clock of Redis
}

// Record is what is known of an execution, ready to be told. It is shared by
// its readers and never changed.
type Record struct {
	ARN       ARN
	Version   Version
	Owner     string // empty: not known, so only operators may read it
	Status    Status // the Step Functions word
	Terminal  bool
	StartDate time.Time
	InputType string

	// Plain is the answer of GET /v1/status as it stands; Gzip is the same
	// compressed, nil where that is not worth it.
	Plain *Representation
	Gzip  *Representation
}

// Representation is one content coding of an answer. The header values are
// slices of one so that they can be put into a header map without allocating.
type Representation struct {
	Body   []byte
	ETag   []string // quoted; version, hash of the body and content coding
	Length []string // of Body, decimal
}

// Key is an API key without its secret.
type Key struct {
	Hash          string    `json:"hash"`   // HMAC-SHA-256 of the key, hex
	Prefix        string    `json:"prefix"` // first characters of the key, to name it by
	Name          string    `json:"name"`
	Owner         string    `json:"owner"`
	Scope         Scope     `json:"scope"`
	StateMachines []string  `json:"stateMachines,omitempty"` // what a register key may register; empty: all
	DailyLimit    int64     `json:"dailyLimit,omitempty"`    // requests per day UTC; 0: none
	CreatedAt     time.Time `json:"createdAt"`
	RevokedAt     time.Time `json:"revokedAt,omitzero"`
}

// Scope is what an API key is good for.
type Scope string

// The scopes of API keys.
const (
	ScopeRead     Scope = "read"     // the owner's executions
	ScopeReadAll  Scope = "read:all" // everybody's
	ScopeRegister Scope = "register" // POST /v1/executions and nothing else
)

// Options say where the cache is and how it behaves.
type Options struct {
	URL         string        // REDIS_URL in one of the forms of DESIGN.md §3
	Prefix      string        // of every Redis name
	Retention   time.Duration // how long a stopped execution is kept, from its stop
	ReplicaAcks int           // replicas that must confirm a write; AutoAcks: 1 where there is one
	NearBytes   int64         // bound of the near cache, bytes
	KeyPepper   []byte        // of the HMAC by which API keys are stored; nil: no API keys
	KeysFile    string        // API keys that survive the loss of Redis; empty: none
	Log         *slog.Logger
	Metrics     prometheus.Registerer
}

// AutoAcks asks for the confirmation of one replica where the primary has one.
const AutoAcks = -1

// Cache is what is known of executions, kept in Redis and shared by every
// process that uses the same Redis and prefix. Its methods can be called
// concurrently.
type Cache struct{}

// Open returns a Cache. It does not connect: Check does.
func Open(o Options) (*Cache, error) { panic("to be written") }

// Check connects to every primary and refuses one that would lose records. Its
// errors are for the operator and name the cure.
func (c *Cache) Check(ctx context.Context) error { panic("to be written") }

// Run keeps the near cache honest until ctx ends. Without it every read goes to
// Redis.
func (c *Cache) Run(ctx context.Context) error { panic("to be written") }

// Ready returns nil if Redis answers and the change feed is heard, or else the
// reason, fit for the eyes of an operator.
func (c *Cache) Ready() error { panic("to be written") }

// Close ends every connection and returns unused parts of daily limits.
func (c *Cache) Close() error { panic("to be written") }

// Get returns what is known of an execution, or ErrNotFound. Any other error
// means that Redis could not be asked in time; it never takes longer than 300 ms.
func (c *Cache) Get(ctx context.Context, arn ARN) (*Record, error) { panic("to be written") }

// Peek returns what the near cache holds of an execution, if it may be told.
// text need not be a well-formed ARN; nothing is found then.
func (c *Cache) Peek(text string) (*Record, bool) { panic("to be written") }

// Apply merges observations and returns what became of each, in their order. It
// may be repeated without harm.
func (c *Cache) Apply(ctx context.Context, batch []Execution) []Outcome { panic("to be written") }

// Register sets the owner of an execution before its first event. created is
// false where the same was registered before; another owner is ErrOwnerConflict.
func (c *Cache) Register(ctx context.Context, r Registration) (created bool, err error) {
	panic("to be written")
}

// Ping asks every primary whether it takes writes. Ingest stops receiving while
// it fails.
func (c *Cache) Ping(ctx context.Context) error { panic("to be written") }

// Full returns the answer of ?view=full: the documented keys and what else is
// known. It is built on each call.
func (r *Record) Full() *Representation { panic("to be written") }

// FindKey returns the API key that a caller presents, or ErrKeyNotFound if it
// is unknown or revoked. Any other error means that it could not be checked.
func (c *Cache) FindKey(ctx context.Context, secret string) (*Key, error) { panic("to be written") }

// SpendQuota takes one request off the key's daily limit. ErrLimitReached comes
// with the time until midnight UTC; any other error means that the limit could
// not be checked. A key without a limit costs nothing.
func (c *Cache) SpendQuota(ctx context.Context, k *Key) (reset time.Duration, err error) {
	panic("to be written")
}

// RefundQuota gives back one request that SpendQuota took.
func (c *Cache) RefundQuota(k *Key) { panic("to be written") }

// ErrLimitReached says that a key's daily limit is used up.
var ErrLimitReached = errors.New("daily limit reached")
