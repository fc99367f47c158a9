package app

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"

	"statuscache/cmd/internal/tracing"
	"statuscache/ingest/event"
)

// value is the text of a setting, and where it comes from.
type value struct {
	setting *setting
	text    string
	origin  string // default, environment or flag
}

// Inputs returns the decoder of inputs that OWNER_PATH and LABEL_PATHS describe.
func (c *Config) Inputs() (d event.Decoder, err error) {
	if d.Owner, err = event.ParseOwnerPath(c.OwnerPath); err == nil {
		d.Labels, err = event.ParseLabelPaths(c.LabelPaths)
	}
	return d, err
}

// AddFlags adds a flag for every setting, or only for the named settings.
func AddFlags(flags *pflag.FlagSet, names ...string) {
	for i := range settings {
		s := &settings[i]
		if len(names) > 0 && !slices.Contains(names, s.name) {
			continue
		}
		usage := s.help + " (" + s.name + ")"
		flags.String(s.flag(), s.preset, usage)
	}
}

// Load reads the settings from flags that AddFlags added and from the
// environment, and checks them. Its error has a line for each mistake.
func Load(flags *pflag.FlagSet, getenv func(string) string) (Config, error) {
	c, problems := read(flags, getenv)
	problems = append(append(problems, c.contradictions()...), tracing.Check(getenv)...)
	return c, errors.Join(problems...)
}

// LoadStore is Load for programs that only need the store. It checks each setting, and
// the combination of the Redis settings, but not whether the settings are complete for a
// service.
func LoadStore(flags *pflag.FlagSet, getenv func(string) string) (Config, error) {
	c, problems := read(flags, getenv)
	return c, errors.Join(problems...)
}

func read(flags *pflag.FlagSet, getenv func(string) string) (Config, []error) {
	c := Config{kubernetes: getenv("KUBERNETES_SERVICE_HOST") != ""}
	var problems []error
	for i := range settings {
		s := &settings[i]
		v := s.value(flags, getenv)
		c.values = append(c.values, v)
		if err := s.parse(&c, strings.TrimSpace(v.text)); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", s.name, err))
		}
	}
	c.Tracing, c.telemetry = tracing.On(getenv), tracing.Settings(getenv)
	return c, append(problems, c.redisContradictions()...)
}

// value returns the value of a setting. A flag takes precedence over the environment.
func (s *setting) value(flags *pflag.FlagSet, getenv func(string) string) value {
	if f := flags.Lookup(s.flag()); f != nil && f.Changed {
		return value{s, f.Value.String(), "flag"}
	}
	if text := getenv(s.name); text != "" {
		return value{s, text, "environment"}
	}
	return value{s, s.preset, "default"}
}

// LoadAdminAddr reads only ADMIN_ADDR, so that health checks still work after a mistake
// in another setting.
func LoadAdminAddr(flags *pflag.FlagSet, getenv func(string) string) (string, error) {
	var c Config
	for i := range settings {
		if s := &settings[i]; s.name == AdminAddr {
			if err := s.parse(&c, strings.TrimSpace(s.value(flags, getenv).text)); err != nil {
				return "", fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	return c.AdminAddr, nil
}

// contradictions returns the conflicts between settings that are valid on their own.
func (c *Config) contradictions() []error {
	var problems []error
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	for _, shorter := range []struct {
		name string
		kept time.Duration
	}{{retentionFailed, c.RetentionFailed}, {retentionOutput, c.RetentionOutput}} {
		if shorter.kept > c.Retention && c.Retention > 0 { // 0: reported already
			wrong("%s: %v is longer than RETENTION (%v); nothing is kept for longer than RETENTION", shorter.name, shorter.kept, c.Retention)
		}
	}
	if c.Role != API && c.SQSQueueURL == "" {
		wrong("SQS_QUEUE_URL: not set; set it to the URL of the queue that the EventBridge rule sends to, or set ROLE=api for a process that only serves the API")
	}
	if c.Role != Ingest && c.APIKeyPepper == "" && c.JWTIssuer == "" && c.IntrospectionURL == "" {
		wrong("API_KEY_PEPPER, JWT_ISSUER: neither is set, so every caller would be refused; set API_KEY_PEPPER to at least %d random characters (openssl rand -hex 32) and create a key with statusctl keys create, or set JWT_ISSUER", minPepper)
	}
	if c.APIKeysFile != "" && c.APIKeyPepper == "" {
		wrong("API_KEYS_FILE: needs API_KEY_PEPPER, with which the keys in the file are hashed")
	}
	if c.JWTIssuer != "" && len(c.JWTClientIDs) == 0 {
		wrong("JWT_CLIENT_IDS: not set; set it to the app clients whose tokens to accept, separated by commas")
	}
	if c.JWTIssuer == "" && (c.JWTJWKSURL != "" || len(c.JWTClientIDs) > 0 || len(c.JWTOperatorGroups) > 0) {
		wrong("JWT_ISSUER: not set, but other JWT settings are; set it, or remove them")
	}
	if c.DashboardClient != "" && c.JWTIssuer == "" {
		wrong("DASHBOARD_OIDC_CLIENT_ID: needs JWT_ISSUER, where people sign in")
	}
	if c.DashboardClient != "" && c.JWTIssuer != "" && !slices.Contains(c.JWTClientIDs, c.DashboardClient) {
		wrong("DASHBOARD_OIDC_CLIENT_ID: %q is not among JWT_CLIENT_IDS, so its tokens would be refused; add it to JWT_CLIENT_IDS", c.DashboardClient)
	}
	if url := c.IntrospectionURL != ""; url != (c.IntrospectionClientID != "") || url != (c.IntrospectionSecret != "") {
		wrong("AUTH_INTROSPECTION_URL, AUTH_INTROSPECTION_CLIENT_ID, AUTH_INTROSPECTION_SECRET_FILE: set all or none")
	}
	if (c.TLSCertFile == "") != (c.TLSKeyFile == "") {
		wrong("TLS_CERT_FILE, TLS_KEY_FILE: set both or neither")
	}
	return problems
}

// Warnings returns a warning for each setting that is allowed but probably a mistake.
func (c *Config) Warnings() []string {
	var all []string
	const comesBack = "%s is %v, but SQS keeps a message for up to %v: after a late message, the API may report %s as RUNNING, for an hour"
	if c.Retention < maxMessageLife {
		all = append(all, fmt.Sprintf(comesBack, "RETENTION", c.Retention, maxMessageLife, "a stopped execution"))
	} else if c.RetentionFailed > 0 && c.RetentionFailed < maxMessageLife {
		all = append(all, fmt.Sprintf(comesBack, retentionFailed, c.RetentionFailed, maxMessageLife, "a failed execution")+
			"; if it is redriven later, its registered owner is lost")
	}
	if c.RetentionOutput > 0 && c.RetentionOutput < c.Retention && c.HydrateRate == 0 && c.Role != API {
		all = append(all, retentionOutput+" is set but HYDRATE_RATE is 0: outputs that have expired cannot be fetched again")
	}
	if host, _, err := net.SplitHostPort(c.AdminAddr); err == nil && c.kubernetes && isLoopback(host) {
		all = append(all, fmt.Sprintf("ADMIN_ADDR is %s: neither the probes of the kubelet nor Prometheus can reach it; set ADMIN_ADDR=:9090, and block all other clients from that port", c.AdminAddr))
	}
	return all
}

// maxMessageLife is the longest retention of an SQS message.
const maxMessageLife = 14 * 24 * time.Hour

// Print lists every setting and the set variables of OpenTelemetry, with their origins, in
// columns. Secrets are hidden.
func (c *Config) Print() string {
	const line = "%s\t= %s\t# %s\n"
	var b strings.Builder
	columns := tabwriter.NewWriter(&b, 0, 0, 1, ' ', 0)
	for _, v := range c.values {
		text := v.text
		if v.setting.hide != nil {
			text = v.setting.hide(text)
		}
		_, _ = fmt.Fprintf(columns, line, v.setting.name, text, v.origin)
	}
	for _, s := range c.telemetry {
		_, _ = fmt.Fprintf(columns, line, s.Name, s.Text, "environment")
	}
	_ = columns.Flush() // a strings.Builder does not fail
	return b.String()
}
