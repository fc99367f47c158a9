package main

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	keda "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"
)

// TestEachSetOfValuesPassesLint, which is `helm lint --strict`.
func TestEachSetOfValuesPassesLint(t *testing.T) {
	for _, file := range valueSets(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range lint.RunAll(chartFolder, parse(t, string(text)), "pipelines").Messages {
			if m.Severity >= support.WarningSev {
				t.Errorf("%s: %v", filepath.Base(file), m)
			}
		}
	}
}

// TestEveryObjectHasOnlyFieldsOfItsKind for each set of values; render decodes strictly.
func TestEveryObjectHasOnlyFieldsOfItsKind(t *testing.T) {
	seen := map[string]bool{}
	for _, file := range valueSets(t) {
		set := strings.TrimSuffix(filepath.Base(file), "-values.yaml")
		for _, o := range render(t, values(t, set)) {
			kind := o.GetObjectKind().GroupVersionKind().Kind
			seen[kind] = true
			named := o.(meta.Object)
			if len(named.GetName()) > 63 || named.GetNamespace() != "pipelines" {
				t.Errorf("%s: %s %s is in namespace %q", set, kind, named.GetName(), named.GetNamespace())
			}
			if kind == "Secret" {
				t.Errorf("%s: the chart makes Secret %s", set, named.GetName())
			}
		}
	}
	want := []string{"ConfigMap", "Deployment", "HTTPRoute", "HorizontalPodAutoscaler", "Ingress", "NetworkPolicy", "PodDisruptionBudget",
		"PrometheusRule", "ScaledObject", "Service", "ServiceAccount", "ServiceMonitor", "TriggerAuthentication"}
	if got := slices.Sorted(maps.Keys(seen)); !slices.Equal(got, want) {
		t.Errorf("the sets make %v, want %v", got, want)
	}
}

// TestTheStrictDecoderFindsAWrongField, so that the test above can fail.
func TestTheStrictDecoderFindsAWrongField(t *testing.T) {
	var failed testing.T
	done := make(chan struct{})
	go func() {
		defer close(done)
		decode(&failed, "x", "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {potrs: []}")
	}()
	if <-done; !failed.Failed() {
		t.Error("spec.potrs of a Service was accepted")
	}
}

// TestGeneratedFilesAreCurrent: the README, and the copies of rules and dashboards.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	files, err := derived()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(chartFolder, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("deploy/helm/statuscache/%s is not current (%v): run .tools/check-deploy/helm --write", name, err)
		}
	}
	copies, err := filepath.Glob(filepath.Join(chartFolder, "files", "dashboards", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range copies {
		if _, has := files[filepath.Join("files", "dashboards", filepath.Base(c))]; !has {
			t.Errorf("%s has no source", c)
		}
	}
}

// TestTheRuleIsThatOfPrometheus: each rule of deploy/observability, with its runbook.
func TestTheRuleIsThatOfPrometheus(t *testing.T) {
	got := one[*monitoring.PrometheusRule](t, render(t, values(t, "everything")), "status-statuscache").Spec
	var want monitoring.PrometheusRuleSpec
	for _, name := range []string{"recording.yaml", "alerts.yaml"} {
		text, err := os.ReadFile(filepath.Join(sourcesFolder, name))
		if err != nil {
			t.Fatal(err)
		}
		var file monitoring.PrometheusRuleSpec
		if err := yaml.UnmarshalStrict(text, &file); err != nil {
			t.Fatal(err)
		}
		want.Groups = append(want.Groups, file.Groups...)
	}
	for _, g := range want.Groups {
		for _, r := range g.Rules {
			if r.Alert != "" {
				r.Labels["team"] = "platform"
				r.Annotations["runbook_url"] = strings.Replace(r.Annotations["runbook_url"], "RUNBOOK.md", "https://wiki.example.com/statusd", 1)
			}
		}
	}
	if len(want.Groups) == 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("the PrometheusRule differs from the rule files:\n%+v\n%+v", got, want)
	}
}

// TestChangedSettingsRestartTheirPods, and nothing else does.
func TestChangedSettingsRestartTheirPods(t *testing.T) {
	annotations := func(change string) (api, ingest string) {
		all := render(t, values(t, "minimal", change))
		text := func(role string) string {
			return labels.Set(one[*apps.Deployment](t, all, "status-statuscache-"+role).Spec.Template.Annotations).String()
		}
		return text("api"), text("ingest")
	}
	api, ingest := annotations("{}")
	for _, test := range []struct {
		change      string
		api, ingest bool
	}{
		{"settings: {LOG_LEVEL: debug}", true, true},
		{"api: {settings: {MAX_WAIT: 10s}}", true, false},
		{"ingest: {settings: {AUDIT_EVERY: 2m}}", false, true},
		{"settings: {CORS_ORIGINS: https://app.example.com}", true, false},
		{`secretsRevision: "2"`, true, true},
		{"api: {replicas: 5}", false, false},
	} {
		a, i := annotations(test.change)
		if (a != api) != test.api || (i != ingest) != test.ingest {
			t.Errorf("%s restarts api: %v, ingest: %v", test.change, a != api, i != ingest)
		}
	}
}

// TestPodsHaveMinimalRights for every set of values.
func TestPodsHaveMinimalRights(t *testing.T) {
	for _, file := range valueSets(t) {
		set := strings.TrimSuffix(filepath.Base(file), "-values.yaml")
		for name, d := range of[*apps.Deployment](render(t, values(t, set))) {
			pod, c := d.Spec.Template.Spec, d.Spec.Template.Spec.Containers[0]
			switch s := c.SecurityContext; {
			case !*pod.SecurityContext.RunAsNonRoot, *pod.SecurityContext.RunAsUser != 65532,
				pod.SecurityContext.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault:
				t.Errorf("%s: %s runs as %v", set, name, pod.SecurityContext)
			case !*s.ReadOnlyRootFilesystem, *s.AllowPrivilegeEscalation, !slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}):
				t.Errorf("%s: %s has the security context %v", set, name, s)
			case *pod.AutomountServiceAccountToken, *pod.EnableServiceLinks:
				t.Errorf("%s: %s gets a token of Kubernetes or the addresses of other services", set, name)
			case c.Resources.Limits.Memory().IsZero(), c.Resources.Requests.Cpu().IsZero():
				t.Errorf("%s: %s has the resources %v", set, name, c.Resources)
			}
		}
	}
}

// TestProbesAreOnTheAdminPort, which has that name, and liveness does not look at Redis.
func TestProbesAreOnTheAdminPort(t *testing.T) {
	all := render(t, values(t, "minimal"))
	for _, role := range []string{"api", "ingest"} {
		c := container(t, all, role)
		if !slices.ContainsFunc(c.Ports, func(p core.ContainerPort) bool { return p.Name == "admin" && p.ContainerPort == 9090 }) {
			t.Errorf("%s has the ports %v", role, c.Ports)
		}
		for path, p := range map[string]*core.Probe{"/livez": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
			if p.HTTPGet.Path != path || p.HTTPGet.Port.String() != "admin" {
				t.Errorf("%s is probed at %v", role, p.HTTPGet)
			}
		}
		if p := c.StartupProbe; p.HTTPGet.Port.String() != "admin" || p.PeriodSeconds*p.FailureThreshold < 60 {
			t.Errorf("%s has %d s to start at %v", role, p.PeriodSeconds*p.FailureThreshold, p.HTTPGet)
		}
	}
}

// TestScaling: api scales by its load and ingest by the queue, neither of them to zero. Their
// new deployments set no number of replicas, which is for the autoscaler to set.
func TestScaling(t *testing.T) {
	fixed := of[*apps.Deployment](render(t, values(t, "minimal")))
	scaled := render(t, values(t, "keda-httproute"))
	for name, d := range fixed {
		if d.Spec.Replicas == nil || *d.Spec.Replicas != 2 {
			t.Errorf("%s has %v replicas", name, d.Spec.Replicas)
		}
		if r := one[*apps.Deployment](t, scaled, name).Spec.Replicas; r != nil {
			t.Errorf("%s is scaled and has %d replicas", name, *r)
		}
	}
	hpa := one[*autoscaling.HorizontalPodAutoscaler](t, scaled, "status-statuscache-api").Spec
	if hpa.ScaleTargetRef.Name != "status-statuscache-api" || *hpa.MinReplicas != 2 || len(hpa.Metrics) != 1 || hpa.Metrics[0].Resource.Name != "cpu" {
		t.Errorf("api is scaled by %+v", hpa)
	}
	s := one[*keda.ScaledObject](t, scaled, "status-statuscache-ingest").Spec
	if s.ScaleTargetRef.Name != "status-statuscache-ingest" || *s.MinReplicaCount != 1 || *s.MaxReplicaCount != 8 || len(s.Triggers) != 1 {
		t.Fatalf("ingest is scaled by %+v", s)
	}
	want := map[string]string{"queueURL": "https://sqs.eu-west-1.amazonaws.com/123456789012/status-events", "queueLength": "1000", "awsRegion": "eu-west-1", "scaleOnInFlight": "true"}
	if trigger := s.Triggers[0]; trigger.Type != "aws-sqs-queue" || !maps.Equal(trigger.Metadata, want) {
		t.Errorf("ingest is scaled by %+v", trigger)
	}
	identity := one[*keda.TriggerAuthentication](t, scaled, s.Triggers[0].AuthenticationRef.Name).Spec.PodIdentity
	if identity.Provider != keda.PodIdentityProviderAws || *identity.IdentityOwner != "workload" {
		t.Errorf("KEDA reads the queue as %+v", identity)
	}
}

// TestScalingKeepsThePodsThatRun: a deployment that is already there has no fewer pods after an
// upgrade that turns scaling on, or after a later one.
func TestScalingKeepsThePodsThatRun(t *testing.T) {
	for _, test := range []struct{ running, want int64 }{{1, 2}, {2, 2}, {7, 7}} {
		cluster := running{"status-statuscache-api": test.running}
		d := one[*apps.Deployment](t, renderIn(t, cluster, values(t, "keda-httproute")), "status-statuscache-api")
		if d.Spec.Replicas == nil || int64(*d.Spec.Replicas) != test.want {
			t.Errorf("api with %d pods gets %v, want %d", test.running, d.Spec.Replicas, test.want)
		}
		fixed := one[*apps.Deployment](t, renderIn(t, cluster, values(t, "minimal")), "status-statuscache-api")
		if *fixed.Spec.Replicas != 2 {
			t.Errorf("api is not scaled, and with %d pods gets %d", test.running, *fixed.Spec.Replicas)
		}
	}
}

// TestPodsHaveTimeToStop: longer than SHUTDOWN_TIMEOUT, of each deployment its own.
func TestPodsHaveTimeToStop(t *testing.T) {
	all := render(t, values(t, "minimal", "settings: {SHUTDOWN_TIMEOUT: 40s}", "api: {settings: {SHUTDOWN_TIMEOUT: 90s}}"))
	for role, want := range map[string]int64{"api": 105, "ingest": 55} {
		if got := *one[*apps.Deployment](t, all, "status-statuscache-"+role).Spec.Template.Spec.TerminationGracePeriodSeconds; got != want {
			t.Errorf("%s has %d s to stop, want %d", role, got, want)
		}
	}
}

// TestSelectorsAndReferencesMeetTheirObjects for every set of values.
func TestSelectorsAndReferencesMeetTheirObjects(t *testing.T) {
	for _, file := range valueSets(t) {
		set := strings.TrimSuffix(filepath.Base(file), "-values.yaml")
		all := render(t, values(t, set))
		pods := map[string]labels.Set{}
		for name, d := range of[*apps.Deployment](all) {
			pods[name] = d.Spec.Template.Labels
			if !labels.SelectorFromSet(d.Spec.Selector.MatchLabels).Matches(pods[name]) {
				t.Errorf("%s: %s does not select its own pods", set, name)
			}
			for _, spread := range d.Spec.Template.Spec.TopologySpreadConstraints {
				selects(t, pods, name, spread.LabelSelector.MatchLabels, 1)
			}
			if account := d.Spec.Template.Spec.ServiceAccountName; of[*core.ServiceAccount](all)[account] == nil {
				t.Errorf("%s: %s runs as %s, which is not there", set, name, account)
			}
		}
		for name, s := range of[*core.Service](all) {
			want := 1
			if strings.HasSuffix(name, "-metrics") {
				want = 2
			}
			selects(t, pods, name, s.Spec.Selector, want)
		}
		for name, b := range of[*policy.PodDisruptionBudget](all) {
			selects(t, pods, name, b.Spec.Selector.MatchLabels, 1)
		}
		for name, p := range of[*networking.NetworkPolicy](all) {
			selects(t, pods, name, p.Spec.PodSelector.MatchLabels, 1)
		}
		for name, m := range of[*monitoring.ServiceMonitor](all) {
			matching := 0
			for _, s := range of[*core.Service](all) {
				if labels.SelectorFromSet(m.Spec.Selector.MatchLabels).Matches(labels.Set(s.Labels)) && s.Spec.Ports[0].Name == m.Spec.Endpoints[0].Port {
					matching++
				}
			}
			if matching != 1 {
				t.Errorf("%s: %s scrapes %d services", set, name, matching)
			}
		}
	}
}

func selects(t *testing.T, pods map[string]labels.Set, name string, selector map[string]string, want int) {
	t.Helper()
	got := 0
	for _, each := range pods {
		if labels.SelectorFromSet(selector).Matches(each) {
			got++
		}
	}
	if got != want || len(selector) == 0 {
		t.Errorf("%s selects the pods of %d deployments, want %d", name, got, want)
	}
}

// TestRoutesLeadToTheAPI: with all hosts, and without a limit that ends a stream.
func TestRoutesLeadToTheAPI(t *testing.T) {
	all := render(t, values(t, "everything"))
	service := one[*core.Service](t, all, "status-statuscache")
	ingress := one[*networking.Ingress](t, all, "status-statuscache").Spec
	if len(ingress.Rules) != 2 || *ingress.IngressClassName != "nginx" || len(ingress.TLS) != 1 {
		t.Errorf("the Ingress is %+v", ingress)
	}
	for _, r := range ingress.Rules {
		if b := r.HTTP.Paths[0].Backend.Service; b.Name != service.Name || b.Port.Number != service.Spec.Ports[0].Port {
			t.Errorf("%s leads to %+v", r.Host, b)
		}
	}
	route := one[*gateway.HTTPRoute](t, all, "status-statuscache").Spec
	if b := route.Rules[0].BackendRefs[0]; string(b.Name) != service.Name || *b.Port != service.Spec.Ports[0].Port {
		t.Errorf("the route leads to %+v", b)
	}
	if limits := route.Rules[0].Timeouts; *limits.Request != "0s" || *limits.BackendRequest != "0s" {
		t.Errorf("the route has the timeouts %+v", limits)
	}
	if p := service.Spec.Ports[0]; *p.AppProtocol != "https" || p.TargetPort.String() != "http" {
		t.Errorf("the Service has the port %+v, though the pods serve TLS", p)
	}
}

// TestTheNetworkPolicyAdmitsNobodyElse: the admin port only those who are named, ingest nobody
// else, and the credentials of the node no pod.
func TestTheNetworkPolicyAdmitsNobodyElse(t *testing.T) {
	closed := render(t, values(t, "minimal"))
	api := one[*networking.NetworkPolicy](t, closed, "status-statuscache-api").Spec
	if len(api.Ingress) != 1 || api.Ingress[0].Ports[0].Port.String() != "http" {
		t.Errorf("api admits %+v", api.Ingress)
	}
	ingest := one[*networking.NetworkPolicy](t, closed, "status-statuscache-ingest").Spec
	if len(ingest.Ingress) != 0 || len(ingest.PolicyTypes) != 2 {
		t.Errorf("ingest admits %+v", ingest.Ingress)
	}
	for _, rule := range ingest.Egress {
		for _, to := range rule.To {
			if to.IPBlock != nil && strings.HasSuffix(to.IPBlock.CIDR, "/0") && len(to.IPBlock.Except) == 0 {
				t.Errorf("ingest reaches the credentials of its node: %+v", to.IPBlock)
			}
		}
	}
	open := one[*networking.NetworkPolicy](t, render(t, values(t, "everything")), "status-statuscache-ingest").Spec
	if len(open.Ingress) != 1 || open.Ingress[0].Ports[0].Port.String() != "admin" || len(open.Ingress[0].From) != 1 {
		t.Errorf("ingest admits %+v", open.Ingress)
	}
	agent := slices.ContainsFunc(open.Egress, func(r networking.NetworkPolicyEgressRule) bool {
		return r.Ports[0].Port.IntValue() == 80 && r.To[0].IPBlock.CIDR == "169.254.170.23/32"
	})
	if !agent || len(open.Egress) != len(ingest.Egress)+2 {
		t.Errorf("ingest reaches %+v", open.Egress)
	}
}

// TestRolesReachTheServiceAccounts for IRSA.
func TestRolesReachTheServiceAccounts(t *testing.T) {
	for name, a := range of[*core.ServiceAccount](render(t, values(t, "everything"))) {
		role := strings.TrimPrefix(name, "status-statuscache-")
		if a.Annotations["eks.amazonaws.com/role-arn"] != "arn:aws:iam::123456789012:role/statusd-"+role || *a.AutomountServiceAccountToken {
			t.Errorf("%s has %v", name, a.Annotations)
		}
	}
}

// TestSettingsThatCannotWorkAreRefused before anything is created, by the schema or by the chart.
func TestSettingsThatCannotWorkAreRefused(t *testing.T) {
	for change, want := range map[string]string{
		"settings: {RETENSION: 1h}":                                         "RETENSION",
		"ingres: {}":                                                        "ingres",
		"api: {replica: 3}":                                                 "replica",
		"settings: {RATE_LIMIT: 1000000}":                                   "/settings/RATE_LIMIT",
		"settings: {DASHBOARD: off}":                                        "/settings/DASHBOARD",
		"settings: {ROLE: all}":                                             "ROLE",
		"settings: {API_KEY_PEPPER: pepper-pepper-pepper}":                  "API_KEY_PEPPER",
		"settings: {REDIS_URL: 'rediss://ada:secret@redis:6379'}":           "/settings/REDIS_URL",
		"settings: {REDIS_URL: 'redis+sentinel://a/m?sentinel_password=x'}": "/settings/REDIS_URL",
		"settings: {REDIS_URL: null}":                                       "REDIS_URL is missing",
		"settings: {SQS_QUEUE_URL: null}":                                   "SQS_QUEUE_URL is missing",
		"settings: {SHUTDOWN_TIMEOUT: 1m}":                                  "/settings/SHUTDOWN_TIMEOUT",
		"secrets: {API_KEY_PEPPER: null}":                                   "every caller would be refused",
		"secrets: {REDIS_URL: {name: a}}":                                   "/secrets/REDIS_URL",
		"secrets: {REDIS_URL: {name: a, key: b}}":                           "REDIS_URL is given twice",
		"files: {REDIS_CA_FILE: {secret: a, configMap: b, key: c}}":         "/files/REDIS_CA_FILE",
		"ingest: {keda: {enabled: true, minReplicas: 0}}":                   "/ingest/keda/minReplicas",
		"ingest: {keda: {enabled: true, minReplicas: 5}}":                   "ingest.keda.maxReplicas is less",
		"{aws: {region: ''}, ingest: {keda: {enabled: true}}}":              "aws.region is missing",
		"api: {autoscaling: {enabled: true, maxReplicas: 1}}":               "api.autoscaling.maxReplicas is less",
		"api: {httpRoute: {enabled: true}}":                                 "/api/httpRoute/parentRefs",
		"api: {ingress: {enabled: true}}":                                   "/api/ingress/hosts",
		"serviceMonitor: {enabled: true}":                                   "Prometheus could not reach the pods",
		"image: {digest: latest}":                                           "/image/digest",
	} {
		_, err := template(t, values(t, "minimal", change))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error about %q", change, err, want)
		}
	}
}
