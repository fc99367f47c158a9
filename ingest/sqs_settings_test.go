package ingest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
)

func TestNewSQS(t *testing.T) {
	t.Parallel()
	for url, fixes := range map[string][]string{
		"https://sqs.eu-west-1.amazonaws.com/123456789012/events":      nil,
		"https://sqs.cn-north-1.amazonaws.com.cn/123456789012/events":  {"queue is in cn-north-1", "AWS_REGION=cn-north-1"},
		"https://sqs.us-east-1.amazonaws.com/123456789012/events":      {"queue is in us-east-1", "AWS_REGION is eu-west-1", "AWS_REGION=us-east-1"},
		"https://sqs-fips.us-east-1.amazonaws.com/123456789012/events": {"queue is in us-east-1", "AWS_REGION=us-east-1"},
		"https://us-east-1.queue.amazonaws.com/123456789012/events":    {"queue is in us-east-1", "AWS_REGION=us-east-1"},
		"http://127.0.0.1:9324/000000000000/events":                    nil,
		"":                  {"such as https://sqs."},
		"events":            {"such as https://sqs."},
		"127.0.0.1:9324/q":  {"such as https://sqs."},
		"redis://127.0.0.1": {"such as https://sqs."},
		"https://\n/q":      {"such as https://sqs."},
		"arn:aws:sqs:a:1:q": {"such as https://sqs."},
	} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			q, err := NewSQS(aws.Config{Region: "eu-west-1"}, url, nil)
			if fixes != nil {
				checkCure(t, err, append(fixes, "SQS_QUEUE_URL")...)
			} else if err != nil || q == nil {
				t.Error(err)
			}
		})
	}
}

// emptyAWS hides the settings of the machine from the SDK. It cannot run in
// parallel with others.
func emptyAWS(t *testing.T) {
	t.Helper()
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
	for _, name := range []string{"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"} {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv(name, file)
	}
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

func TestLoadAWS(t *testing.T) {
	for name, c := range map[string]struct {
		env   map[string]string
		file  string // of AWS_CONFIG_FILE
		fixes []string
	}{
		"region":           {map[string]string{"AWS_REGION": "eu-west-1"}, "", nil},
		"region in a file": {nil, "[default]\nregion = eu-west-1\n", nil},
		"no region":        {nil, "", []string{"AWS_REGION", "such as eu-west-1"}},
		"no such profile":  {map[string]string{"AWS_PROFILE": "nope"}, "", []string{"nope", "AWS_PROFILE"}},
		"odd number":       {map[string]string{"AWS_REGION": "eu-west-1", "AWS_MAX_ATTEMPTS": "many"}, "", []string{"many", "variables AWS_"}},
	} {
		t.Run(name, func(t *testing.T) {
			emptyAWS(t)
			for name, value := range c.env {
				t.Setenv(name, value)
			}
			if err := os.WriteFile(os.Getenv("AWS_CONFIG_FILE"), []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := LoadAWS(t.Context())
			if c.fixes != nil {
				checkCure(t, err, c.fixes...)
			} else if err != nil || got.Region != "eu-west-1" {
				t.Errorf("region %q, %v", got.Region, err)
			}
		})
	}
}

func TestNoCredentials(t *testing.T) {
	emptyAWS(t)
	t.Setenv("AWS_REGION", "eu-west-1")
	c, err := LoadAWS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	q, err := NewSQS(c, "http://127.0.0.1:1/1/q", nil)
	if err != nil {
		t.Fatal(err)
	}
	checkCure(t, q.Check(t.Context()), "no AWS credentials", "AWS_ACCESS_KEY_ID", "AWS_PROFILE")
}

func TestEndpointOfTheEnvironmentWins(t *testing.T) {
	emptyAWS(t)
	asked := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Host
		fmt.Fprint(w, `{"Attributes":{}}`)
	}))
	defer server.Close()
	for name, value := range map[string]string{
		"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_ENDPOINT_URL_SQS": server.URL,
	} {
		t.Setenv(name, value)
	}
	c, err := LoadAWS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	q, err := NewSQS(c, "http://127.0.0.1:1/1/q", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Check(t.Context()); err != nil || "http://"+<-asked != server.URL {
		t.Errorf("the host of the queue's URL was asked: %v", err)
	}
}
