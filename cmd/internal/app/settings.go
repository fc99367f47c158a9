package app

import (
	"strings"
	"time"

	"statuscache/cache"
	"statuscache/cmd/internal/tracing"
	"statuscache/ingest/operate"
)

// Role is what a process does.
type Role string

// The roles.
const (
	All    Role = "all"
	API    Role = "api"
	Ingest Role = "ingest"
)

// minPepper is the least length of API_KEY_PEPPER in bytes.
const minPepper = 16

// Config has the values of all settings. The table settings describes each field.
type Config struct {
	Role       Role
	ListenAddr string
	AdminAddr  string

	RedisURL         string
	RedisTLS         cache.TLS
	RedisPassword    string // path of its file
	RedisAuth        string // password or iam
	RedisPrefix      string
	RedisReplicaAcks int // cache.AutoAcks: 1 where there is a replica

	SQSQueueURL   string
	EventBus      string // name or ARN
	OwnerPath     string
	LabelPaths    string
	StateMachines []string

	JWTIssuer         string
	JWTJWKSURL        string
	JWTClientIDs      []string
	JWTOwnerClaim     string
	JWTScopePrefix    string
	JWTOperatorGroups []string
	APIKeyPepper      string

	IntrospectionURL      string
	IntrospectionClientID string
	IntrospectionSecret   string // path of its file

	APIKeysFile string

	Retention       time.Duration
	RetentionFailed time.Duration // 0: the value of RETENTION
	RetentionOutput time.Duration // 0: the value of RETENTION
	MaxWait         time.Duration
	ArrivalGrace    time.Duration
	RateLimit       int // requests per second; 0: off
	CORSOrigins     []string
	Dashboard       bool
	DashboardClient string // client ID of the dashboard at JWTIssuer; empty: people can sign in with a key or token only
	TLSCertFile     string
	TLSKeyFile      string
	ShutdownTimeout time.Duration

	AuditEvery      time.Duration
	DescribeRate    float64 // per second
	HydrateRate     float64 // per second
	HydrateDeadline time.Duration

	LogFormat string
	LogLevel  string

	Tracing bool // whether spans are made and exported; set by the variables of OpenTelemetry

	kubernetes bool // whether the process runs in Kubernetes
	telemetry  []tracing.Setting
	values     []value // the value of each setting, in the order of settings
}

// setting is one setting of statusd.
type setting struct {
	name   string
	preset string
	help   string
	parse  func(*Config, string) error
	hide   func(string) string // how a value with a secret is shown; nil: unchanged
}

// AdminAddr is the name of the setting for the admin port.
const AdminAddr = "ADMIN_ADDR"

// Settings that have the value of RETENTION if they are not set.
const (
	retentionFailed = "RETENTION_FAILED"
	retentionOutput = "RETENTION_OUTPUT"
)

// Bounds of RETENTION and of the settings that shorten it.
const (
	minRetention = time.Hour
	maxRetention = 10 * 365 * 24 * time.Hour
)

func (s *setting) flag() string { return strings.ReplaceAll(strings.ToLower(s.name), "_", "-") }

var settings = []setting{
	{"ROLE", "all", "what this process does: api serves the API, ingest receives events, all does both", parseRole, nil},
	{"LISTEN_ADDR", ":8080", "address of the public API", address(func(c *Config) *string { return &c.ListenAddr }), nil},
	{AdminAddr, "127.0.0.1:9090", "address of metrics, probes and profiles; do not expose it to the public", address(func(c *Config) *string { return &c.AdminAddr }), nil},

	{"REDIS_URL", "redis://localhost:6379", "URL of Redis: redis://host, redis+cluster://h1,h2 or redis+sentinel://h1,h2/master; for TLS, write rediss instead of redis", parseRedisURL, hideURL},
	{"REDIS_CA_FILE", "", "file with the CA certificates to trust for Redis; empty: those of the system", parseCAFile, nil},
	{"REDIS_CERT_FILE", "", "file with the client certificate for Redis", file(func(c *Config) *string { return &c.RedisTLS.CertFile }), nil},
	{"REDIS_KEY_FILE", "", "file with the private key of REDIS_CERT_FILE", file(func(c *Config) *string { return &c.RedisTLS.KeyFile }), nil},
	{"REDIS_SERVER_NAME", "", "name that the certificate of Redis must have; empty: the host in REDIS_URL", parseServerName, nil},
	{"REDIS_PASSWORD_FILE", "", "file with the password of the user in REDIS_URL, read every second", parsePasswordFile, nil},
	{"REDIS_AUTH", "password", "how to log in to Redis: password, or iam for ElastiCache and MemoryDB, with a token signed with the credentials of the AWS SDK", oneOf(func(c *Config) *string { return &c.RedisAuth }, "password", authIAM), nil},
	{"REDIS_PREFIX", "sc", "prefix of every Redis key", parsePrefix, nil},
	{"REDIS_REPLICA_ACKS", "auto", "how many replicas must confirm a write before its SQS message is deleted; auto: 1 if the primary has a replica or had one in the last hour", parseAcks, nil},

	{"SQS_QUEUE_URL", "", "URL of the queue that the EventBridge rule sends to", parseQueueURL, nil},
	{"OWNER_PATH", "", "path of the owner in the input of an execution, such as tenantId; set it only if your own code writes that field", parseOwnerPath, nil},
	{"LABEL_PATHS", "", "labels of executions and their paths in the input, such as ruleset=ruleSetId,customer=meta.customerId; at most 4; set it only after every process runs a release that has this setting", parseLabelPaths, nil},
	{"EVENT_BUS", operate.DefaultBus, "name or ARN of the event bus of the rule; only statusctl uses it", parseEventBus, nil},
	{"STATE_MACHINES", "", "ARNs of the state machines to follow, separated by commas; empty: all, and no audit", parseStateMachines, nil},

	{"JWT_ISSUER", "", "issuer of the JWT access tokens to accept; empty: no JWTs are accepted", parseIssuer, nil},
	{"JWT_JWKS_URL", "", "URL of the issuer's signing keys; empty: /.well-known/jwks.json of the issuer", httpsURL(func(c *Config) *string { return &c.JWTJWKSURL }), nil},
	{"JWT_CLIENT_IDS", "", "client IDs whose tokens are accepted, separated by commas", list(func(c *Config) *[]string { return &c.JWTClientIDs }), nil},
	{"JWT_OWNER_CLAIM", "sub", "token claim that contains the owner", required(func(c *Config) *string { return &c.JWTOwnerClaim }), nil},
	{"JWT_SCOPE_PREFIX", "status", "prefix of the scopes PREFIX/read:all and PREFIX/register", required(func(c *Config) *string { return &c.JWTScopePrefix }), nil},
	{"JWT_OPERATOR_GROUPS", "", "groups whose members may read every execution, separated by commas", list(func(c *Config) *[]string { return &c.JWTOperatorGroups }), nil},
	{"AUTH_INTROSPECTION_URL", "", "URL of a server that checks tokens that are neither API keys nor tokens of JWT_ISSUER (RFC 7662); its answers are used for 20 seconds", httpsURL(func(c *Config) *string { return &c.IntrospectionURL }), nil},
	{"AUTH_INTROSPECTION_CLIENT_ID", "", "client ID for requests to AUTH_INTROSPECTION_URL", text(func(c *Config) *string { return &c.IntrospectionClientID }), nil},
	{"AUTH_INTROSPECTION_SECRET_FILE", "", "file with the client secret for AUTH_INTROSPECTION_URL, read for each request", parseIntrospectionSecret, nil},
	{"API_KEY_PEPPER", "", "secret for the hashes of API keys, at least 16 characters; empty: no API keys", parsePepper, hideAll},
	{"API_KEYS_FILE", "", "file that statusctl keys export writes; the API keys in it survive the loss of Redis", text(func(c *Config) *string { return &c.APIKeysFile }), nil},

	{"RETENTION", "360h", "how long an execution is kept after it has ended; should be more than 14 days, the longest time that SQS keeps a message", duration(func(c *Config) *time.Duration { return &c.Retention }, minRetention, maxRetention), nil},
	{retentionFailed, "", "how long a failed, timed out or aborted execution is kept, up to RETENTION; empty: the value of RETENTION", shorterRetention(func(c *Config) *time.Duration { return &c.RetentionFailed }), nil},
	{retentionOutput, "", "how long the output of a succeeded execution is kept, up to RETENTION; after that it can be fetched again on request; empty: the value of RETENTION", shorterRetention(func(c *Config) *time.Duration { return &c.RetentionOutput }), nil},
	{"MAX_WAIT", "25s", "longest wait that a request can ask for; 0: none", duration(func(c *Config) *time.Duration { return &c.MaxWait }, 0, 10*time.Minute), nil},
	{"ARRIVAL_GRACE", "2s", "how long a GET for an unknown execution waits before 404; 0: not at all", duration(func(c *Config) *time.Duration { return &c.ArrivalGrace }, 0, time.Minute), nil},
	{"RATE_LIMIT", "200", "requests per second of one caller to one process, with bursts of twice that; 0: no limit", parseRateLimit, nil},
	{"CORS_ORIGINS", "", "origins whose web pages may call the API, separated by commas", parseOrigins, nil},
	{"DASHBOARD", "on", "on: serve the dashboard at /; off: do not", onOrOff(func(c *Config) *bool { return &c.Dashboard }), nil},
	{"DASHBOARD_OIDC_CLIENT_ID", "", "client ID with which people sign in to the dashboard at JWT_ISSUER; empty: only with a key or token", text(func(c *Config) *string { return &c.DashboardClient }), nil},
	{"TLS_CERT_FILE", "", "file with the TLS certificate chain, loaded again when it changes; empty: no TLS", file(func(c *Config) *string { return &c.TLSCertFile }), nil},
	{"TLS_KEY_FILE", "", "file with the private key of TLS_CERT_FILE", file(func(c *Config) *string { return &c.TLSKeyFile }), nil},
	{"SHUTDOWN_TIMEOUT", "25s", "longest time that a shutdown may take", duration(func(c *Config) *time.Duration { return &c.ShutdownTimeout }, time.Second, 10*time.Minute), nil},

	{"AUDIT_EVERY", "1m", "how often the executions of STATE_MACHINES are compared with Step Functions", duration(func(c *Config) *time.Duration { return &c.AuditEvery }, time.Second, 24*time.Hour), nil},
	{"DESCRIBE_RATE", "2", "DescribeExecution calls per second for the audit, all processes together; 0: none", rate(func(c *Config) *float64 { return &c.DescribeRate }), nil},
	{"HYDRATE_RATE", "5", "DescribeExecution calls per second for outputs and inputs that are missing, all processes together; 0: none", rate(func(c *Config) *float64 { return &c.HydrateRate }), nil},
	{"HYDRATE_DEADLINE", "60s", "how long the API reports RUNNING while it fetches an output that was left out of an event", duration(func(c *Config) *time.Duration { return &c.HydrateDeadline }, time.Second, time.Hour), nil},

	{"LOG_FORMAT", "json", "json or text", oneOf(func(c *Config) *string { return &c.LogFormat }, "json", "text"), nil},
	{"LOG_LEVEL", "info", "debug, info, warn or error", oneOf(func(c *Config) *string { return &c.LogLevel }, "debug", "info", "warn", "error"), nil},
}

func hideAll(s string) string {
	if s == "" {
		return ""
	}
	return "(hidden)"
}

// hideURL hides possible secrets in a REDIS_URL: the user part and the query. If it
// cannot separate them, it hides everything.
func hideURL(s string) string {
	if cache.ParseURL(s) != nil {
		return hideAll(s)
	}
	scheme, rest, _ := strings.Cut(s, "://")
	rest, query, _ := strings.Cut(rest, "?")
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest = "(hidden)" + rest[at:]
	}
	if query != "" {
		rest += "?(hidden)"
	}
	return scheme + "://" + rest
}
