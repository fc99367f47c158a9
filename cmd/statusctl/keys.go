package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"statuscache/cache"
	"statuscache/cache/apikeys"
	"statuscache/cmd/internal/app"
)

// keysLimit bounds each command.
const keysLimit = 10 * time.Second

func keysCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "keys", Short: "Manage API keys; needs the settings of statusd"}
	app.AddFlags(cmd.PersistentFlags(), append([]string{"API_KEY_PEPPER", "API_KEYS_FILE"}, app.RedisSettings...)...)
	cmd.AddCommand(createCommand(), listCommand(), revokeCommand(), exportCommand(), importCommand())
	return cmd
}

// keyStore has what the commands for API keys need.
type keyStore struct {
	*apikeys.Keys
	cache  *cache.Cache
	config app.Config
}

// withKeys runs f on the API keys that the settings name.
func withKeys(cmd *cobra.Command, f func(context.Context, keyStore) error) error {
	config, err := app.LoadStore(cmd.Flags(), os.Getenv)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), keysLimit)
	defer cancel()
	return openStore(ctx, config, func(c *cache.Cache) error {
		keys, err := openKeys(config, c)
		if err != nil {
			return err
		}
		return f(ctx, keyStore{keys, c, config})
	})
}

// openKeys opens the API keys in Redis. It does not read API_KEYS_FILE, which may not exist
// yet.
func openKeys(config app.Config, c *cache.Cache) (*apikeys.Keys, error) {
	config.APIKeysFile = ""
	return app.OpenKeys(config, c, slog.New(slog.DiscardHandler))
}

// openStore runs f on the store of a configuration if the check of Redis succeeds.
func openStore(ctx context.Context, config app.Config, f func(*cache.Cache) error) error {
	c, err := app.OpenCache(config, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		return err
	}
	checked, cancel := context.WithTimeout(ctx, keysLimit)
	defer cancel()
	if err := c.DB().Check(checked); err != nil {
		return errors.Join(app.RedisError(config, err), c.Close())
	}
	return errors.Join(f(c), c.Close())
}

// shownKey is a key as --json prints it.
type shownKey struct {
	Key           string        `json:"key,omitempty"` // only when it is created
	Prefix        string        `json:"prefix"`
	Name          string        `json:"name"`
	Owner         string        `json:"owner"`
	Scope         apikeys.Scope `json:"scope"`
	StateMachines []string      `json:"stateMachines,omitempty"`
	DailyLimit    int64         `json:"dailyLimit,omitempty"`
	CreatedAt     time.Time     `json:"createdAt"`
	RevokedAt     time.Time     `json:"revokedAt,omitzero"`
}

func shown(k apikeys.Key, secret string) shownKey {
	return shownKey{secret, k.Prefix, k.Name, k.Owner, k.Scope, k.StateMachines, k.DailyLimit, k.CreatedAt, k.RevokedAt}
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func createCommand() *cobra.Command {
	var k apikeys.Key
	var scope, secrets string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "create --owner ID --name TEXT",
		Short: "Create an API key; it is shown only once",
		Long:  "Create an API key; it is shown only once.\n" + secretsHelp,
		Example: "  statusctl keys create --owner ada --name 'CI of ada'\n  statusctl keys create --owner generate --name generate --scope register\n" +
			"  statusctl keys create --secrets-from old-keys.tsv",
		Args: app.Arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if secrets != "" {
				return adoptKeys(cmd, secrets, asJSON)
			}
			k.Scope = apikeys.Scope(scope)
			if err := checkKey(k); err != nil {
				return err
			}
			return withKeys(cmd, func(ctx context.Context, keys keyStore) error {
				secret, created, err := keys.Create(ctx, k)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), shown(created, secret))
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", secret)
				_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "Keep it safe: it is not shown again. To revoke it, use its prefix: statusctl keys revoke "+created.Prefix)
				if keys.config.APIKeysFile != "" {
					_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "It is not in API_KEYS_FILE yet: run statusctl keys export.")
				}
				return err
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&k.Owner, "owner", "", "owner of the executions that the key may read")
	f.StringVar(&k.Name, "name", "", "purpose of the key, for your own use")
	f.StringVar(&scope, "scope", string(apikeys.ScopeRead), "read: read the owner's executions; read:all: read all executions; register: POST /v1/executions only")
	f.StringArrayVar(&k.StateMachines, "state-machine", nil, "ARN of a state machine whose executions a register key may register; may be repeated (default all)")
	f.Int64Var(&k.DailyLimit, "daily-limit", 0, "requests per day, UTC; 0: no limit")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.StringVar(&secrets, "secrets-from", "", "file with keys from another system, or - for standard input")
	for _, other := range []string{"owner", "name", "scope", "state-machine", "daily-limit"} {
		cmd.MarkFlagsMutuallyExclusive("secrets-from", other)
	}
	return cmd
}

var scopes = []apikeys.Scope{apikeys.ScopeRead, apikeys.ScopeReadAll, apikeys.ScopeRegister}

// checkKey reports all mistakes together.
func checkKey(k apikeys.Key) error {
	var errs []error
	for _, field := range []struct{ flag, value string }{{"--owner", k.Owner}, {"--name", k.Name}} {
		if field.value == "" {
			errs = append(errs, fmt.Errorf("%s: not set", field.flag))
		} else if len(field.value) > cache.MaxOwnerLength || strings.ContainsFunc(field.value, unicode.IsControl) {
			errs = append(errs, fmt.Errorf("%s: must be at most %d bytes without control characters", field.flag, cache.MaxOwnerLength))
		}
	}
	if !slices.Contains(scopes, k.Scope) {
		errs = append(errs, fmt.Errorf("--scope: %q must be read, read:all or register", k.Scope))
	}
	if len(k.StateMachines) > 0 && k.Scope != apikeys.ScopeRegister {
		errs = append(errs, errors.New("--state-machine: only for --scope register"))
	}
	if err := app.CheckStateMachines(k.StateMachines); err != nil {
		errs = append(errs, fmt.Errorf("--state-machine: %w", err))
	}
	if k.DailyLimit < 0 {
		errs = append(errs, errors.New("--daily-limit: must not be negative"))
	}
	return errors.Join(errs...)
}

func listCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List API keys, including revoked ones", Args: app.Arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withKeys(cmd, func(ctx context.Context, store keyStore) error {
				keys, err := store.List(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					all := make([]shownKey, len(keys))
					for i, k := range keys {
						all[i] = shown(k, "")
					}
					return printJSON(cmd.OutOrStdout(), all)
				}
				return printTable(cmd.OutOrStdout(), keys)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printTable(w io.Writer, keys []apikeys.Key) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "PREFIX\tNAME\tOWNER\tSCOPE\tDAILY LIMIT\tCREATED\tREVOKED")
	for _, k := range keys {
		limit, revoked := "-", "-"
		if k.DailyLimit > 0 {
			limit = fmt.Sprint(k.DailyLimit)
		}
		if k.Revoked() {
			revoked = k.RevokedAt.Format(time.DateTime)
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.Prefix, k.Name, k.Owner, k.Scope, limit, k.CreatedAt.Format(time.DateTime), revoked)
	}
	return t.Flush()
}

func revokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke PREFIX",
		Short: "Revoke an API key, in Redis and in API_KEYS_FILE if that is set",
		Args:  app.Arguments(1, 1), Example: "  statusctl keys revoke csk_live_75070b2e",
		RunE: func(cmd *cobra.Command, args []string) error {
			config, err := app.LoadStore(cmd.Flags(), os.Getenv)
			if err != nil {
				return err
			}
			// The file first, because it decides while Redis does not answer.
			filed, fileErr := revokeInFile(config.APIKeysFile, args[0])
			var k apikeys.Key
			err = withKeys(cmd, func(ctx context.Context, keys keyStore) (err error) {
				if k, err = keys.Revoke(ctx, args[0], filed...); err == nil && fileErr == nil {
					fileErr = refreshFile(ctx, keys.Keys, config.APIKeysFile)
				}
				return err
			})
			switch {
			case errors.Is(err, apikeys.ErrNotFound):
				return errors.Join(fmt.Errorf("no API key has the prefix %q; statusctl keys list shows them", args[0]), fileErr)
			case err != nil && len(filed) > 0 && !errors.Is(err, cache.ErrReplicas):
				return errors.Join(fmt.Errorf("revoked in API_KEYS_FILE, but not in Redis; run the command again: %w", err), fileErr)
			case err != nil:
				return errors.Join(err, fileErr)
			case fileErr != nil:
				return fmt.Errorf("revoked in Redis, but not in API_KEYS_FILE: %w", fileErr)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "revoked %s (%s of %s)\n", k.Prefix, k.Name, k.Owner)
			return err
		},
	}
}
