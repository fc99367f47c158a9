package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	keda "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/fake"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"
)

// valueSets are the files of values that the chart is checked with.
func valueSets(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(chartFolder, "ci", "*-values.yaml"))
	if err != nil || len(files) < 5 {
		t.Fatalf("%d sets of values, want five or more: %v", len(files), err)
	}
	return files
}

// values reads a set by its name, and changes it by lines of YAML. Null removes a value.
func values(t *testing.T, set string, changes ...string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(chartFolder, "ci", set+"-values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	all := parse(t, string(text))
	for _, change := range changes {
		all = loader.MergeMaps(all, parse(t, change))
	}
	removeNulls(all)
	return all
}

func removeNulls(all map[string]any) {
	for name, value := range all {
		if inner, is := value.(map[string]any); is {
			removeNulls(inner)
		} else if value == nil {
			delete(all, name)
		}
	}
}

func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	var all map[string]any
	if err := yaml.Unmarshal([]byte(text), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// running are the deployments of a cluster, by name, with the pods of each.
type running map[string]int64

// GetClientFor implements engine.ClientProvider, for what templates look up.
func (r running) GetClientFor(apiVersion, kind string) (dynamic.NamespaceableResourceInterface, bool, error) {
	if apiVersion != "apps/v1" || kind != "Deployment" {
		return nil, false, fmt.Errorf("the cluster has no %s %s", apiVersion, kind)
	}
	var all []runtime.Object
	for name, pods := range r {
		all = append(all, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": apiVersion, "kind": kind,
			"metadata": map[string]any{"name": name, "namespace": "pipelines"},
			"spec":     map[string]any{"replicas": pods},
		}})
	}
	return fake.NewSimpleDynamicClient(runtime.NewScheme(), all...).Resource(apps.SchemeGroupVersion.WithResource("deployments")), true, nil
}

// template renders the chart as helm does: by file, after a check of the schema.
func template(t *testing.T, given map[string]any) (map[string]string, error) {
	t.Helper()
	return templateIn(t, nil, given)
}

// templateIn renders the chart for a cluster with some deployments.
func templateIn(t *testing.T, cluster running, given map[string]any) (map[string]string, error) {
	t.Helper()
	chart, err := loader.Load(chartFolder)
	if err != nil {
		t.Fatal(err)
	}
	release := common.ReleaseOptions{Name: "status", Namespace: "pipelines", Revision: 1, IsInstall: true}
	all, err := util.ToRenderValues(chart, given, release, common.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	return engine.RenderWithClientProvider(chart, all, cluster)
}

// objects are what a set of values makes, each decoded into the type of its kind.
type objects []runtime.Object

// render returns the objects that a set of values makes, and fails where one has a field that
// its type does not have.
func render(t *testing.T, given map[string]any) objects {
	t.Helper()
	return renderIn(t, nil, given)
}

// renderIn renders for a cluster with some deployments.
func renderIn(t *testing.T, cluster running, given map[string]any) objects {
	t.Helper()
	files, err := templateIn(t, cluster, given)
	if err != nil {
		t.Fatal(err)
	}
	var all objects
	for name, text := range files {
		if filepath.Ext(name) != ".yaml" {
			continue
		}
		for document := range strings.SplitSeq("\n"+text, "\n---") {
			if o := decode(t, name, document); o != nil {
				all = append(all, o)
			}
		}
	}
	if len(all) == 0 {
		t.Fatal("nothing was rendered")
	}
	return all
}

// decode reads one document strictly; nil for one without an object.
func decode(t *testing.T, name, document string) runtime.Object {
	t.Helper()
	if parsed := parse(t, document); parsed == nil {
		return nil
	}
	strict := json.NewSerializerWithOptions(json.DefaultMetaFactory, kinds, kinds, json.SerializerOptions{Yaml: true, Strict: true})
	o, _, err := strict.Decode([]byte(document), nil, nil)
	if err != nil {
		t.Errorf("%s: %v\n%s", name, err, document)
		return nil
	}
	return o
}

// kinds are the types that objects are decoded into.
var kinds = func() *runtime.Scheme {
	all := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		core.AddToScheme, apps.AddToScheme, autoscaling.AddToScheme, networking.AddToScheme, policy.AddToScheme,
		gateway.Install, keda.AddToScheme, monitoring.AddToScheme,
	} {
		if err := add(all); err != nil {
			panic(err)
		}
	}
	return all
}()

// of returns the objects of a type, by name.
func of[T meta.Object](all objects) map[string]T {
	found := map[string]T{}
	for _, o := range all {
		if typed, is := o.(T); is {
			found[typed.GetName()] = typed
		}
	}
	return found
}

// one returns the only object of a type with a name.
func one[T meta.Object](t *testing.T, all objects, name string) T {
	t.Helper()
	found := of[T](all)
	o, has := found[name]
	if !has {
		names := []string{}
		for each := range found {
			names = append(names, each)
		}
		slices.Sort(names)
		t.Fatalf("there is no %T %s, only %v", o, name, names)
	}
	return o
}

// container returns the container of a role.
func container(t *testing.T, all objects, role string) core.Container {
	t.Helper()
	for name, d := range of[*apps.Deployment](all) {
		if strings.HasSuffix(name, "-"+role) {
			return d.Spec.Template.Spec.Containers[0]
		}
	}
	t.Fatalf("there is no deployment of %s", role)
	return core.Container{}
}
