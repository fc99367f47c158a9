package operate

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTheServiceTemplateGrantsTheShippedPolicy: ingest has only the permissions of
// deploy/iam/statusd.json, on its queue and its state machines.
func TestTheServiceTemplateGrantsTheShippedPolicy(t *testing.T) {
	t.Parallel()
	const queue = "arn:aws:sqs:eu-west-1:000000000000:status-events"
	for _, plan := range examplePlans() {
		c := readTemplate(t, "service.yaml", map[string]string{"QueueArn": queue, "StateMachineArns": strings.Join(plan.StateMachines, ",")})
		policies := c.resource("IngestRole")["Policies"].([]any)
		if len(policies) != 1 {
			t.Fatalf("%d policies", len(policies))
		}
		got := grants(policies[0].(map[string]any)["PolicyDocument"])
		if diff := cmp.Diff(shippedGrants(t, plan.StateMachines), got); diff != "" {
			t.Errorf("%d state machines (-deploy/iam/statusd.json +template):\n%s", len(plan.StateMachines), diff)
		}
	}
	c := readTemplate(t, "service.yaml", map[string]string{"StateMachineArns": "arn:aws:states:eu-west-1:000000000000:stateMachine:Pipeline"})
	if role := c.resource("ApiTask")["TaskRoleArn"]; role != nil {
		t.Errorf("api has the role %v, but never calls AWS", role)
	}
}

// TestTheServiceTemplateLogsInToTheCacheByIAM: both services have the permissions of
// deploy/iam/cache.json and no password. Their user has the permissions of deploy/redis.acl.
// The user default is off.
func TestTheServiceTemplateLogsInToTheCacheByIAM(t *testing.T) {
	t.Parallel()
	c := readTemplate(t, "service.yaml", map[string]string{
		"CacheAuth": "iam", "CacheUserId": "statusd",
		"QueueArn": "arn:aws:sqs:eu-west-1:000000000000:status-events", "StateMachineArns": "arn:aws:states:eu-west-1:000000000000:stateMachine:Pipeline",
	})
	filled := strings.NewReplacer("REGION", stackRegion, "ACCOUNT", stackAccount, ":CACHE", ":Cache", ":USER", ":statusd").Replace(shipped(t, "iam/cache.json"))
	if diff := cmp.Diff(grants(parsed(t, filled)), grants(c.resource("CachePolicy")["PolicyDocument"])); diff != "" {
		t.Errorf("(-deploy/iam/cache.json +template):\n%s", diff)
	}
	for _, service := range []string{"Api", "Ingest"} {
		if policies := c.resource(service + "Role")["ManagedPolicyArns"]; !cmp.Equal(policies, any([]any{"CachePolicy"})) {
			t.Errorf("the role of %s has the policies %v", service, policies)
		}
		task := c.resource(service + "Task")
		if role, _ := task["TaskRoleArn"].(string); !strings.HasPrefix(role, service+"Role") {
			t.Errorf("%s runs with the role %v", service, task["TaskRoleArn"])
		}
		settings := map[string]any{}
		for _, setting := range task["ContainerDefinitions"].([]any)[0].(map[string]any)["Environment"].([]any) {
			settings[setting.(map[string]any)["Name"].(string)] = setting.(map[string]any)["Value"]
		}
		if settings["REDIS_AUTH"] != "iam" || settings["AWS_REGION"] != stackRegion {
			t.Errorf("%s has the settings %v", service, settings)
		}
	}
	cache := c.resource("Cache")
	if cache["AuthToken"] != nil || !cmp.Equal(cache["UserGroupIds"], any([]any{"CacheUsers"})) {
		t.Errorf("the cache has the password %v and the users %v", cache["AuthToken"], cache["UserGroupIds"])
	}
	if address := c.resource("RedisUrl")["SecretString"].(string); !strings.HasPrefix(address, "rediss://statusd@") {
		t.Errorf("REDIS_URL is %s", address)
	}
	if users := c.resource("CacheUsers")["UserIds"]; !cmp.Equal(users, any([]any{"CacheUser", "CacheDefaultUser"})) {
		t.Errorf("the users are %v", users)
	}
	_, rights, _ := strings.Cut(strings.TrimSpace(shipped(t, "redis.acl")), " -@all ")
	user, other := c.resource("CacheUser"), c.resource("CacheDefaultUser")
	if user["AccessString"] != "on ~sc:* &sc:* -@all "+rights || user["UserId"] != user["UserName"] {
		t.Errorf("the user of statusd is %v, want the rights of deploy/redis.acl", user)
	}
	if other["UserName"] != "default" || other["AccessString"] != "off -@all" {
		t.Errorf("the user default is %v", other)
	}
}

// shipped returns a file of deploy/.
func shipped(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/" + name)
	must(t, err)
	return string(text)
}

// TestTheServiceTemplateLosesNothing: the cache evicts nothing and has a replica and TLS. No
// secret is a plain setting, and at least one task of each service runs.
func TestTheServiceTemplateLosesNothing(t *testing.T) {
	t.Parallel()
	c := readTemplate(t, "service.yaml", map[string]string{
		"QueueArn": "arn:aws:sqs:eu-west-1:000000000000:status-events", "StateMachineArns": "arn:aws:states:eu-west-1:000000000000:stateMachine:Pipeline",
	})
	cache := c.resource("Cache")
	for name, want := range map[string]any{
		"AutomaticFailoverEnabled": "true", "MultiAZEnabled": "true", "ReplicasPerNodeGroup": "1", "TransitEncryptionEnabled": "true",
		"TransitEncryptionMode": "required", "AtRestEncryptionEnabled": "true", "CacheParameterGroupName": "CacheParameters",
	} {
		if cache[name] != want {
			t.Errorf("cache: %s is %v, want %v", name, cache[name], want)
		}
	}
	if policy := c.resource("CacheParameters")["Properties"].(map[string]any)["maxmemory-policy"]; policy != "noeviction" {
		t.Errorf("maxmemory-policy is %v", policy)
	}
	if address := c.resource("RedisUrl")["SecretString"].(string); !strings.HasPrefix(address, "rediss://:{{resolve:secretsmanager:CacheToken:SecretString}}@") {
		t.Errorf("REDIS_URL is %s", address)
	}
	for name, want := range map[string][]any{"ApiTask": {"REDIS_URL", "API_KEY_PEPPER"}, "IngestTask": {"REDIS_URL"}} {
		container := c.resource(name)["ContainerDefinitions"].([]any)[0].(map[string]any)
		var got []any
		for _, secret := range container["Secrets"].([]any) {
			got = append(got, secret.(map[string]any)["Name"])
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("secrets of %s (-want +got):\n%s", name, diff)
		}
		if check := container["HealthCheck"].(map[string]any)["Command"]; !cmp.Equal(check, []any{"CMD", "statusd", "healthcheck"}) {
			t.Errorf("ECS checks %s by %v", name, check)
		}
	}
	for _, name := range []string{"ApiMinTasks", "IngestMinTasks"} {
		if n := c.at("Parameters", name, "MinValue"); n == nil || n.Value != "1" {
			t.Errorf("%s may be 0", name)
		}
	}
	for _, name := range c.resourcesOf("AWS::ECS::Service") {
		breaker := c.resource(name)["DeploymentConfiguration"].(map[string]any)["DeploymentCircuitBreaker"]
		if diff := cmp.Diff(any(map[string]any{"Enable": "true", "Rollback": "true"}), breaker); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestTheServiceTemplateWatchesEveryNodeOfTheCache, because each can be the primary.
func TestTheServiceTemplateWatchesEveryNodeOfTheCache(t *testing.T) {
	t.Parallel()
	c := readTemplate(t, "service.yaml", map[string]string{
		"QueueArn": "arn:aws:sqs:eu-west-1:000000000000:status-events", "StateMachineArns": "arn:aws:states:eu-west-1:000000000000:stateMachine:Pipeline",
	})
	most, err := strconv.Atoi(c.at("Parameters", "CacheReplicas", "MaxValue").Value)
	must(t, err)
	queries := c.resource("CacheEngineAlarm")["Metrics"].([]any)
	expression := queries[0].(map[string]any)["Expression"].(string)
	if len(queries) != 1+1+most {
		t.Fatalf("%d metrics for 1 primary and up to %d replicas", len(queries)-1, most)
	}
	for i, query := range queries[1:] {
		stat := query.(map[string]any)["MetricStat"].(map[string]any)["Metric"].(map[string]any)
		node := stat["Dimensions"].([]any)[0].(map[string]any)["Value"]
		if want := fmt.Sprintf("Cache-%03d", i+1); node != want || stat["MetricName"] != "EngineCPUUtilization" {
			t.Errorf("metric %d is %v of %v, want that of %s", i+1, stat["MetricName"], node, want)
		}
		if id := query.(map[string]any)["Id"].(string); !strings.Contains(expression, "FILL("+id+", 0)") {
			t.Errorf("%s does not use %s", expression, id)
		}
	}
}

// shippedGrants returns the permissions of deploy/iam/statusd.json for some state machines.
func shippedGrants(t *testing.T, machines []string) []string {
	t.Helper()
	text := shipped(t, "iam/statusd.json")
	var all []string
	for _, machine := range machines {
		filled := strings.NewReplacer("REGION", stackRegion, "ACCOUNT", stackAccount, ":NAME", ":"+lastPart(machine)).Replace(text)
		all = append(all, grants(parsed(t, filled))...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// grants returns each pair of action and resource of a policy that only allows.
func grants(policy any) (all []string) {
	for _, s := range policy.(map[string]any)["Statement"].([]any) {
		statement := s.(map[string]any)
		for _, action := range oneOrMore(statement["Action"]) {
			for _, resource := range oneOrMore(statement["Resource"]) {
				all = append(all, strings.Join([]string{statement["Effect"].(string), action.(string), resource.(string)}, " "))
			}
		}
	}
	slices.Sort(all)
	return all
}

func oneOrMore(v any) []any {
	if list, is := v.([]any); is {
		return list
	}
	return []any{v}
}
