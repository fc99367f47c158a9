// Package awstest gives tests the SDK's clients of the services that the stand-in
// is. A client is that of an unchanged SDK; only where it looks is different.
package awstest

import (
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
)

// Config returns the settings of an SDK that asks an endpoint for every service.
// Its connections are closed with the test.
func Config(t testing.TB, endpoint string) aws.Config {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return aws.Config{
		BaseEndpoint: aws.String(endpoint),
		Region:       "eu-west-1",
		Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""),
		HTTPClient:   &http.Client{Transport: transport},
	}
}

// EventBridge returns a client of EventBridge at an endpoint.
func EventBridge(t testing.TB, endpoint string) *eventbridge.Client {
	t.Helper()
	return eventbridge.NewFromConfig(Config(t, endpoint))
}

// StepFunctions returns a client of Step Functions at an endpoint.
func StepFunctions(t testing.TB, endpoint string) *sfn.Client {
	t.Helper()
	return sfn.NewFromConfig(Config(t, endpoint))
}
