package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"statuscache/cmd/internal/app"
	"statuscache/ingest"
	"statuscache/ingest/operate"
)

// operatorLimit bounds verbs that do not wait for something at AWS.
const operatorLimit = 2 * time.Minute

// operatorFlags adds those of statusd's settings that a verb reads. Wrong flags
// mean that it could not ask.
func operatorFlags(cmd *cobra.Command, settings ...string) {
	app.AddFlags(cmd.PersistentFlags(), settings...)
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return couldNotAsk(err) })
}

// eventPath returns the path of the events that the settings name.
func eventPath(config app.Config, rule string) operate.EventPath {
	return operate.EventPath{QueueURL: config.SQSQueueURL, EventBus: config.EventBus, Rule: rule}
}

// openOperator reads statusd's settings and those of AWS. Verbs that have no flag
// for the queue do not look at it.
func openOperator(ctx context.Context, cmd *cobra.Command) (app.Config, *operate.Operator, error) {
	config, err := app.LoadStore(cmd.Flags(), os.Getenv)
	if err != nil {
		return config, nil, err
	}
	if cmd.Flags().Lookup("sqs-queue-url") == nil {
		config.SQSQueueURL = ""
	}
	settings, err := ingest.LoadAWS(ctx)
	if err != nil {
		return config, nil, err
	}
	o, err := operate.NewOperator(settings, config.SQSQueueURL)
	return config, o, err
}

// interrupted turns the end of the program's context into its exit code.
func interrupted(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return &app.ExitError{Code: exitInterrupted}
	}
	return couldNotAsk(err)
}
