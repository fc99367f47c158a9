package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"statuscache/cache/apikeys"
	"statuscache/cmd/internal/app"
)

// revokeInFile revokes a key in API_KEYS_FILE, and returns it. Otherwise the file would
// make the key valid again after a loss of Redis.
func revokeInFile(path, prefix string) (filed []apikeys.Key, err error) {
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
	if err := apikeys.WriteFile(path, keys); err != nil {
		return nil, err
	}
	return filed, nil
}

// readIfThere reads a file of keys. Without a path or a file it returns no keys.
func readIfThere(path string) ([]apikeys.Key, error) {
	if path == "" {
		return nil, nil
	}
	keys, err := apikeys.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return keys, err
}

// refreshFile updates in a file which keys are revoked or restored in Redis. It repeats this
// until both agree, because other processes may write to both at the same time.
func refreshFile(ctx context.Context, keys *apikeys.Keys, path string) error {
	for {
		filed, err := readIfThere(path)
		if err != nil || len(filed) == 0 {
			return err
		}
		stored, err := keys.List(ctx)
		if err != nil {
			return err
		}
		now := apikeys.Merge(filed, stored)[:len(filed)]
		if slices.EqualFunc(now, filed, func(a, b apikeys.Key) bool { return a.Restored == b.Restored && a.Revoked() == b.Revoked() }) {
			return nil
		}
		if err := apikeys.WriteFile(path, now); err != nil {
			return err
		}
	}
}

func exportCommand() *cobra.Command {
	return fileCommand("export", "Write all API keys, without their secrets, to a file (default API_KEYS_FILE)",
		"Keys that are only in the file stay in it, and keys that are revoked in it stay revoked,\n"+
			"because Redis may have lost them. An existing file keeps its owner and its mode.",
		func(ctx context.Context, store keyStore, path string) (string, error) {
			stored, err := store.List(ctx)
			if err != nil {
				return "", err
			}
			filed, err := readIfThere(path)
			if err != nil {
				return "", err
			}
			keys := apikeys.Merge(stored, filed)
			done := fmt.Sprintf("keys written to %s: %d", path, len(keys))
			if kept := len(keys) - len(stored); kept > 0 {
				done += fmt.Sprintf("; %d of them are not in Redis; to store them there, run statusctl keys import", kept)
			}
			if err := apikeys.WriteFile(path, keys); err != nil {
				return "", err
			}
			return done, refreshFile(ctx, store.Keys, path) // a key may have been revoked in the meantime
		})
}

func importCommand() *cobra.Command {
	var restore []string
	cmd := fileCommand("import", "Store the API keys of an exported file (default API_KEYS_FILE); revoked keys stay revoked",
		"A key that is revoked in Redis, in the file or in API_KEYS_FILE stays revoked,\n"+
			"unless --restore names it.",
		func(ctx context.Context, store keyStore, path string) (string, error) {
			keys, err := apikeys.ReadFile(path)
			if err != nil {
				return "", err
			}
			filed, err := readIfThere(store.config.APIKeysFile)
			if err != nil {
				return "", err
			}
			n, err := store.Import(ctx, apikeys.Merge(keys, filed)[:len(keys)], restore...)
			if errors.Is(err, apikeys.ErrNotFound) {
				err = fmt.Errorf("--restore: no key in %s has this prefix: %w", path, err)
			}
			if err == nil && len(restore) > 0 {
				err = refreshFile(ctx, store.Keys, store.config.APIKeysFile)
			}
			if err != nil {
				return "", err
			}
			missing, err := noteImported(ctx, store.cache)
			return fmt.Sprintf("keys stored from %s: %d%s", path, n, missing), err
		})
	cmd.Flags().StringArrayVar(&restore, "restore", nil, "prefix of a revoked key to make valid again; may be repeated")
	return cmd
}

// fileCommand returns a command for a file of keys; do returns what to print.
func fileCommand(verb, short, long string, do func(context.Context, keyStore, string) (string, error)) *cobra.Command {
	return &cobra.Command{
		Use: verb + " [FILE]", Short: short, Long: short + ".\n" + long, Args: app.Arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withKeys(cmd, func(ctx context.Context, store keyStore) error {
				path, err := keysPath(args, store.config)
				if err != nil {
					return err
				}
				done, err := do(ctx, store, path)
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
