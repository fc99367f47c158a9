package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"statuscache/cache"
	"statuscache/cmd/internal/app"
)

// revokeInFile ends a key in the file that outlives Redis, and returns it; there it
// would be good again otherwise.
func revokeInFile(path, prefix string) (filed []cache.Key, err error) {
	keys, err := readIfThere(path)
	if err != nil {
		return nil, err
	}
	changed := false
	for i := range keys {
		k := &keys[i]
		if k.Prefix != prefix {
			continue
		}
		if !k.Revoked() {
			k.RevokedAt, changed = time.Now().UTC().Truncate(time.Second), true
		}
		filed = append(filed, *k)
	}
	if !changed {
		return filed, nil
	}
	if err := cache.WriteKeysFile(path, keys); err != nil {
		return nil, err
	}
	return filed, nil
}

// readIfThere reads a file of keys. No path, or no file, is no keys.
func readIfThere(path string) ([]cache.Key, error) {
	if path == "" {
		return nil, nil
	}
	keys, err := cache.ReadKeysFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return keys, err
}

// refreshFile takes over into a file which of its keys are revoked or restored in Redis,
// until it says the same: others may write to both at the same time.
func refreshFile(ctx context.Context, c *cache.Cache, path string) error {
	for {
		filed, err := readIfThere(path)
		if err != nil || len(filed) == 0 {
			return err
		}
		stored, err := c.ListKeys(ctx)
		if err != nil {
			return err
		}
		now := cache.MergeKeys(filed, stored)[:len(filed)]
		if slices.EqualFunc(now, filed, func(a, b cache.Key) bool { return a.Restored == b.Restored && a.Revoked() == b.Revoked() }) {
			return nil
		}
		if err := cache.WriteKeysFile(path, now); err != nil {
			return err
		}
	}
}

func exportCommand() *cobra.Command {
	return fileCommand("export", "Write all API keys, without their secrets, to a file (default API_KEYS_FILE)",
		"Keys that only the file knows stay in it, and what is revoked in it stays revoked: Redis may\n"+
			"have lost them. A file that is there keeps its owner and its mode.",
		func(ctx context.Context, c *cache.Cache, _ app.Config, path string) (string, error) {
			stored, err := c.ListKeys(ctx)
			if err != nil {
				return "", err
			}
			filed, err := readIfThere(path)
			if err != nil {
				return "", err
			}
			keys := cache.MergeKeys(stored, filed)
			done := fmt.Sprintf("keys written to %s: %d", path, len(keys))
			if kept := len(keys) - len(stored); kept > 0 {
				done += fmt.Sprintf(", of which Redis does not know %d; statusctl keys import stores them", kept)
			}
			if err := cache.WriteKeysFile(path, keys); err != nil {
				return "", err
			}
			return done, refreshFile(ctx, c, path) // somebody may have revoked one meanwhile
		})
}

func importCommand() *cobra.Command {
	var restore []string
	cmd := fileCommand("import", "Store the API keys of an exported file (default API_KEYS_FILE); what is revoked stays revoked",
		"A key that is revoked in Redis, in the file or in API_KEYS_FILE stays revoked, whatever the\n"+
			"others say, unless --restore names it.",
		func(ctx context.Context, c *cache.Cache, config app.Config, path string) (string, error) {
			keys, err := cache.ReadKeysFile(path)
			if err != nil {
				return "", err
			}
			filed, err := readIfThere(config.APIKeysFile)
			if err != nil {
				return "", err
			}
			n, err := c.ImportKeys(ctx, cache.MergeKeys(keys, filed)[:len(keys)], restore...)
			if errors.Is(err, cache.ErrKeyNotFound) {
				err = fmt.Errorf("--restore: no key in %s has this prefix: %w", path, err)
			}
			if err == nil && len(restore) > 0 {
				err = refreshFile(ctx, c, config.APIKeysFile)
			}
			if err != nil {
				return "", err
			}
			missing, err := noteImported(ctx, c)
			return fmt.Sprintf("keys stored from %s: %d%s", path, n, missing), err
		})
	cmd.Flags().StringArrayVar(&restore, "restore", nil, "prefix of a revoked key that is to be good again; may be repeated")
	return cmd
}

// fileCommand is a command about a file of keys; do returns what to print.
func fileCommand(verb, short, long string, do func(context.Context, *cache.Cache, app.Config, string) (string, error)) *cobra.Command {
	return &cobra.Command{
		Use: verb + " [FILE]", Short: short, Long: short + ".\n" + long, Args: app.Arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withCache(cmd, func(ctx context.Context, c *cache.Cache, config app.Config) error {
				path, err := keysPath(args, config)
				if err != nil {
					return err
				}
				done, err := do(ctx, c, config, path)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), done)
				return err
			})
		},
	}
}

func keysPath(args []string, c app.Config) (string, error) {
	if len(args) == 1 {
		return args[0], nil
	}
	if c.APIKeysFile == "" {
		return "", errors.New("no file: name one, or set API_KEYS_FILE")
	}
	return c.APIKeysFile, nil
}
