package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"statuscache/cache/diagnose"
	"statuscache/cmd/internal/app"
	"statuscache/httpapi/auth"
	"statuscache/ingest"
	"statuscache/ingest/operate"
)

const exitWrong = 1 // something is wrong with the setup

func doctorCommand() *cobra.Command {
	var setUp operate.SetUp
	var rule string
	var asJSON, dismiss bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check the setup, and say how to correct it",
		Long: "Check the whole path of an event, from Step Functions through EventBridge and SQS to Redis,\n" +
			"and the tokens and owners. For each part, print ok, or what is wrong and the command that\n" +
			"corrects it. The command changes nothing and receives no message. A line with ? says why\n" +
			"something was not checked. The exit code is 0 if nothing is wrong, 1 if something is wrong,\n" +
			"2 if something could not be checked.",
		Example: "  statusctl doctor\n  statusctl doctor --json | jq '.[] | select(.problem)'",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := app.LoadStore(cmd.Flags(), os.Getenv)
			if err != nil {
				return couldNotAsk(err)
			}
			if dismiss {
				return couldNotAsk(dismissLoss(cmd.Context(), config, cmd.OutOrStdout()))
			}
			setUp.EventPath, setUp.StateMachines = eventPath(config, rule), config.StateMachines
			findings := append(diagnoseAWS(cmd.Context(), setUp), diagnoseRedis(cmd.Context(), config)...)
			findings = append(findings, diagnoseLoss(cmd.Context(), config))
			findings = append(findings, diagnoseIssuer(cmd.Context(), config)...)
			findings = append(findings, diagnoseIntrospection(cmd.Context(), config)...)
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), findings)
			} else {
				err = printFindings(cmd.OutOrStdout(), findings)
			}
			if err != nil {
				return couldNotAsk(err)
			}
			return verdict(findings)
		},
	}
	operatorFlags(cmd, append([]string{"SQS_QUEUE_URL", "EVENT_BUS", "STATE_MACHINES", "REDIS_REPLICA_ACKS", "API_KEY_PEPPER", "JWT_ISSUER", "JWT_JWKS_URL", "AUTH_INTROSPECTION_URL", "AUTH_INTROSPECTION_CLIENT_ID", "AUTH_INTROSPECTION_SECRET_FILE"}, app.RedisSettings...)...)
	cmd.Flags().StringVar(&rule, "rule", "", "name of the EventBridge rule (default: the rules that send to the queue)")
	cmd.Flags().StringVar(&setUp.Archive, "archive", "", "name of the archive (default: an archive that contains the events, on the same event bus)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&dismiss, "dismiss-loss", false, "check nothing; accept that Redis has lost records, so that /v1/health reports ok again")
	return cmd
}

func diagnoseAWS(ctx context.Context, setUp operate.SetUp) []diagnose.Finding {
	settings, err := ingest.LoadAWS(ctx)
	var o *operate.Operator
	if err == nil {
		o, err = operate.NewOperator(settings, setUp.QueueURL)
	}
	if err != nil {
		return []diagnose.Finding{
			{Check: "AWS settings", Problem: err.Error(), Fix: "correct the settings that the message names"},
			diagnose.NotChecked("AWS", "its settings are wrong"),
		}
	}
	return o.Diagnose(ctx, setUp)
}

func diagnoseRedis(ctx context.Context, config app.Config) []diagnose.Finding {
	wrong := func(err error) []diagnose.Finding {
		return []diagnose.Finding{{Check: "Redis settings", Problem: err.Error(), Fix: "correct the settings that the message names"}}
	}
	c, err := app.OpenCache(config, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		return wrong(err)
	}
	defer func() { _ = c.Close() }()
	keys, err := openKeys(config, c)
	if err != nil {
		return wrong(err)
	}
	return diagnose.Run(ctx, c, keys)
}

const issuerLimit = 5 * time.Second // for each request to the issuer

// diagnoseIssuer checks whether the issuer of tokens, if there is one, matches the
// settings.
func diagnoseIssuer(ctx context.Context, config app.Config) (findings []diagnose.Finding) {
	const check = "JWT issuer"
	tokens := config.JWT()
	if tokens == nil {
		return nil
	}
	client := &http.Client{Timeout: issuerLimit}
	defer client.CloseIdleConnections()
	for _, fault := range auth.CheckIssuer(ctx, client, *tokens) {
		findings = append(findings, diagnose.Finding{Check: check, Problem: fault.Problem, Fix: fault.Fix})
	}
	if findings == nil {
		findings = []diagnose.Finding{{Check: check, Detail: tokens.Issuer + " has the name and the keys that the settings expect"}}
	}
	return findings
}

// diagnoseIntrospection checks whether the introspection server, if there is one, accepts the
// client credentials.
func diagnoseIntrospection(ctx context.Context, config app.Config) []diagnose.Finding {
	const check = "token introspection"
	server := config.Introspection()
	if server == nil {
		return nil
	}
	problem, fix := auth.CheckIntrospection(ctx, *server)
	if problem != "" {
		return []diagnose.Finding{{Check: check, Problem: problem, Fix: fix}}
	}
	return []diagnose.Finding{{Check: check, Detail: "AUTH_INTROSPECTION_URL answers and accepts the client credentials"}}
}

func printFindings(w io.Writer, findings []diagnose.Finding) error {
	var err error
	for _, f := range findings {
		switch {
		case f.OK():
			_, err = fmt.Fprintf(w, "ok     %s: %s\n", f.Check, f.Detail)
		case f.Unchecked():
			_, err = fmt.Fprintf(w, "?      %s: %s%s\n", f.Check, f.Problem, f.Detail)
		default:
			_, err = fmt.Fprintf(w, "wrong  %s: %s\n       fix: %s\n", f.Check, f.Problem, f.Fix)
		}
	}
	return err
}

// verdict is an error with the exit code for the findings.
func verdict(findings []diagnose.Finding) error {
	code := 0
	for _, f := range findings {
		switch {
		case f.Failed() && code == 0:
			code = exitCouldNotAsk
		case !f.OK() && !f.Unchecked():
			code = exitWrong
		}
	}
	if code == 0 {
		return nil
	}
	return &app.ExitError{Code: code}
}
