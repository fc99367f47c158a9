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

// operatorLimit is the time limit of commands that do not wait for something at AWS.
const operatorLimit = 2 * time.Minute

// operatorFlags adds the settings of statusd that a command reads. A wrong flag ends it
// with exitCouldNotAsk.
func operatorFlags(cmd *cobra.Command, settings ...string) {
	app.AddFlags(cmd.PersistentFlags(), settings...)
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return couldNotAsk(err) })
}

// eventPath returns the event path that the settings describe.
func eventPath(config app.Config, rule string) operate.EventPath {
	return operate.EventPath{QueueURL: config.SQSQueueURL, EventBus: config.EventBus, Rule: rule}
}

// openOperator reads the settings of statusd and of AWS. Commands without a flag for the
// queue ignore the queue.
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

// interrupted gives the error of a cancelled context its exit code.
func interrupted(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return &app.ExitError{Code: exitInterrupted}
	}
	return couldNotAsk(err)
}
