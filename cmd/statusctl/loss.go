package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"statuscache/cache"
	"statuscache/cache/diagnose"
	"statuscache/cache/worklist"
	"statuscache/cmd/internal/app"
)

// lossLimit is the time limit of the Redis requests for a loss.
const lossLimit = 5 * time.Second

// losses returns the loss detector of a store.
func losses(c *cache.Cache) *worklist.LossDetector {
	return worklist.NewLossDetector(c.DB(), worklist.LossOptions{})
}

// dismissLoss ends the notice that Redis has lost records.
func dismissLoss(ctx context.Context, config app.Config, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, lossLimit)
	defer cancel()
	return openStore(ctx, config, func(c *cache.Cache) error {
		loss, err := losses(c).Dismiss(ctx)
		switch {
		case err != nil:
			return err
		case loss == nil:
			_, err = fmt.Fprintln(out, "no loss of records is known")
		default:
			_, err = fmt.Fprintf(out, "dismissed the loss of %s (%s)\n", loss.At.UTC().Format(time.RFC3339), loss.Why)
		}
		return err
	})
}

// diagnoseLoss reports lost records that are neither restored nor dismissed.
func diagnoseLoss(ctx context.Context, config app.Config) diagnose.Finding {
	const check = "lost records"
	ctx, cancel := context.WithTimeout(ctx, lossLimit)
	defer cancel()
	c, err := app.OpenCache(config, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		return diagnose.NotChecked(check, "Redis could not be opened")
	}
	defer func() { _ = c.Close() }()
	loss, err := losses(c).LossNow(ctx)
	switch {
	case err != nil:
		return diagnose.NotChecked(check, "Redis does not answer")
	case loss == nil:
		return diagnose.Finding{Check: check, Detail: "none"}
	}
	return diagnose.Finding{
		Check:   check,
		Problem: fmt.Sprintf("%s, noticed at %s: %s", loss.Why, loss.At.UTC().Format(time.RFC3339), strings.Join(loss.Lines(len(config.StateMachines) > 0), "; ")),
		Fix:     "restore what the message names, or accept the loss: statusctl doctor --dismiss-loss",
	}
}

// noteReplayed ends the notice of a loss if a replay has restored what was lost.
func noteReplayed(ctx context.Context, config app.Config, from, to time.Time, out io.Writer) {
	ctx, cancel := context.WithTimeout(ctx, lossLimit)
	defer cancel()
	err := openStore(ctx, config, func(c *cache.Cache) error { return losses(c).Backfilled(ctx, from, to) })
	if err != nil {
		_, _ = fmt.Fprintf(out, "cannot record this replay in Redis (%v); if /v1/health still reports lost records, run statusctl doctor --dismiss-loss\n", err)
	}
}

// noteImported ends the notice of a loss if an import of API keys has restored what was
// lost, and returns what is still missing.
func noteImported(ctx context.Context, c *cache.Cache) (string, error) {
	missing, err := losses(c).KeysImported(ctx)
	if err != nil || missing == 0 {
		return "", err
	}
	return fmt.Sprintf("\nAPI keys still lost: %d; create new keys (statusctl keys create), or accept the loss: statusctl doctor --dismiss-loss", missing), nil
}
