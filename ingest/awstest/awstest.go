// Package awstest gives tests SDK clients for the services of the stand-in. The SDK is
// unchanged; only the endpoint is different.
package awstest

import (
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
)

// Config returns SDK settings with one endpoint for every service. The connections are
// closed at the end of the test.
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
