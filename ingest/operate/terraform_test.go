package operate

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"statuscache/ingest/awstest"
)

// TestTheEventsModuleMakesWhatProvisionMakes applies the Terraform module in an independent AWS
// emulator. After that, provision changes nothing, doctor finds nothing, and an event arrives.
// .tools/check-deploy/iac runs it, because Terraform has its provider there.
func TestTheEventsModuleMakesWhatProvisionMakes(t *testing.T) {
	t.Parallel()
	example := os.Getenv("TERRAFORM_EXAMPLE")
	if example == "" {
		t.Skip("TERRAFORM_EXAMPLE does not name a copy of deploy/terraform/examples/events in which terraform init has run; .tools/check-deploy/iac creates one")
	}
	endpoint := awstest.Moto(t)
	o := operatorAt(t, endpoint)
	machine := createMachine(t, o)
	apply(t, example, endpoint, machine)

	plan := Plan{Name: planned, StateMachines: []string{machine}}
	got := eventPathOf(t, o, plan)
	for _, step := range steps(t, o, plan) {
		if !strings.HasPrefix(step, "ok ") {
			t.Errorf("provision changes what the module has created: %s", step)
		}
	}
	q, err := o.queueNamed(t.Context(), planned)
	must(t, err)
	for _, f := range o.Diagnose(t.Context(), SetUp{EventPath: EventPath{QueueURL: q.url}, StateMachines: plan.StateMachines}) {
		if !f.OK() {
			t.Errorf("doctor: %+v", f)
		}
	}
	other := operatorAt(t, awstest.Moto(t))
	createMachine(t, other)
	steps(t, other, plan)
	if diff := cmp.Diff(eventPathOf(t, other, plan), got, sdkFields); diff != "" {
		t.Errorf("(-provision +module):\n%s", diff)
	}
	checkArrives(t, o, machine)
}

func apply(t *testing.T, example, endpoint, machine string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "terraform", "-chdir="+example, "apply", "-no-color", "-input=false", "-auto-approve",
		"-state="+t.TempDir()+"/state", `-var=state_machine_arns=["`+machine+`"]`)
	command.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+endpoint, "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local")
	said, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("terraform apply: %v\n%s", err, said)
	}
}
