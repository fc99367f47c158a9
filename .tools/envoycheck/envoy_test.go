// Package envoycheck checks the configuration for Envoy without Envoy, which no package of
// Debian, npm or Go brings: against the types of Envoy's own API, the rules that these carry
// for their values, and what statusd needs of a proxy. It does not show that Envoy runs it.
package envoycheck

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/stream/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/anypb"
	"sigs.k8s.io/yaml"
)

const (
	longestWait = 25 * time.Second // MAX_WAIT by default
	idle        = 75 * time.Second // after which statusd closes a connection
)

func TestTheConfiguration(t *testing.T) {
	if err := check(shipped(t)); err != nil {
		t.Fatal(err)
	}
}

// TestWrongConfigurations: each kind of mistake is found, and named.
func TestWrongConfigurations(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"a misspelt field":                   {"stream_idle_timeout:", "stream_idle_timout:", "stream_idle_timout"},
		"a misspelt field of an extension":   {"alpn_protocols:", "alpn_protocol:", "alpn_protocol"},
		"a field given twice":                {"stat_prefix: statusd", "stat_prefix: statusd\n                stat_prefix: statusd", "stat_prefix"},
		"a type that is none":                {"v3.DownstreamTlsContext", "v3.DownstreamTLSContext", "DownstreamTLSContext"},
		"a value that is none":               {"LEAST_REQUEST", "LEAST_REQUESTS", "LEAST_REQUESTS"},
		"a value outside of its range":       {"port_value: 443", "port_value: 70000", "PortValue"},
		"a value that is required":           {"stat_prefix: statusd", "", "StatPrefix"},
		"a field that is going away":         {"connect_timeout: 2s", "connect_timeout: 2s\n      http2_protocol_options: {}", "http2_protocol_options"},
		"a cluster that is not there":        {"cluster: statusd", "cluster: status", `"status"`},
		"waits that end early":               {"stream_idle_timeout: 75s", "stream_idle_timeout: 25s", "stream_idle_timeout"},
		"streams that end early":             {"timeout: 0s", "timeout: 15s", "timeout"},
		"connections that are kept too long": {"idle_timeout: 60s", "idle_timeout: 75s", "idle_timeout"},
		"a path that is changed":             {"normalize_path: false", "normalize_path: true", "normalize_path"},
		"slashes that are joined":            {"merge_slashes: false", "merge_slashes: true", "merge_slashes"},
		"a log with tokens":                  {"%REQ_WITHOUT_QUERY(:PATH)%", "%REQ(:PATH)%", "query"},
		"request ids that are replaced":      {"preserve_external_request_id: true", "preserve_external_request_id: false", "preserve_external_request_id"},
	} {
		t.Run(name, func(t *testing.T) {
			complete := shipped(t)
			if !strings.Contains(complete, c.old) {
				t.Fatalf("the configuration has no %q", c.old)
			}
			err := check(strings.Replace(complete, c.old, c.new, 1))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error that names %s", err, c.want)
			}
		})
	}
}

func shipped(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/proxies/envoy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// check reads a configuration as strictly as Envoy does.
func check(text string) error {
	asJSON, err := yaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		return err
	}
	var config bootstrapv3.Bootstrap
	if err := protojson.Unmarshal(asJSON, &config); err != nil {
		return err
	}
	all := messages(config.ProtoReflect())
	for _, m := range all {
		err = errors.Join(err, valid(m), current(m))
	}
	for _, m := range all {
		err = errors.Join(err, suits(m, &config))
	}
	return err
}

// messages returns a message and all that it contains, also what is packed in an Any.
func messages(m protoreflect.Message) []protoreflect.Message {
	all := []protoreflect.Message{m}
	if packed, ok := m.Interface().(*anypb.Any); ok {
		content, err := packed.UnmarshalNew()
		if err != nil {
			panic(err) // protojson has just packed it
		}
		return append(all, messages(content.ProtoReflect())...)
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap() && f.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				all = append(all, messages(v.Message())...)
				return true
			})
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				all = append(all, messages(v.List().Get(i).Message())...)
			}
		case !f.IsMap() && !f.IsList() && f.Message() != nil:
			all = append(all, messages(v.Message())...)
		}
		return true
	})
	return all
}

// valid checks the values of a message against the rules of Envoy's API.
func valid(m protoreflect.Message) error {
	if v, ok := m.Interface().(interface{ ValidateAll() error }); ok {
		return v.ValidateAll()
	}
	return nil
}

// current refuses fields that a later Envoy will not accept.
func current(m protoreflect.Message) error {
	var err error
	m.Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		if options, ok := f.Options().(*descriptorpb.FieldOptions); ok && options.GetDeprecated() {
			err = errors.Join(err, fmt.Errorf("%s is deprecated", f.FullName()))
		}
		return true
	})
	return err
}

// suits checks what statusd needs of every proxy, and that a route leads somewhere.
func suits(m protoreflect.Message, config *bootstrapv3.Bootstrap) error {
	switch m := m.Interface().(type) {
	case *hcmv3.HttpConnectionManager:
		return managerSuits(m)
	case *routev3.RouteAction:
		return routeSuits(m, config)
	case *httpv3.HttpProtocolOptions:
		kept := m.GetCommonHttpProtocolOptions().GetIdleTimeout().AsDuration()
		return need(kept > 0 && kept < idle, "idle_timeout is %s and must be below %s, when statusd closes a connection", kept, idle)
	}
	return nil
}

func managerSuits(m *hcmv3.HttpConnectionManager) error {
	quiet := m.GetStreamIdleTimeout().AsDuration()
	const keep = hcmv3.HttpConnectionManager_KEEP_UNCHANGED
	return errors.Join(
		need(quiet > longestWait+10*time.Second, "stream_idle_timeout is %s and must leave time for a wait of %s", quiet, longestWait),
		need(!m.GetNormalizePath().GetValue(), "normalize_path changes ARNs"),
		need(!m.GetMergeSlashes(), "merge_slashes changes ARNs"),
		need(m.GetPathWithEscapedSlashesAction() == keep, "path_with_escaped_slashes_action changes ARNs"),
		need(m.GetPreserveExternalRequestId(), "preserve_external_request_id is off: the ids of clients get lost"),
		need(!strings.Contains(prototext.Format(m), "%REQ(:PATH)%"), "the log has the query, which may contain a token"),
	)
}

func routeSuits(m *routev3.RouteAction, config *bootstrapv3.Bootstrap) error {
	there := slices.ContainsFunc(config.GetStaticResources().GetClusters(), func(c *clusterv3.Cluster) bool {
		return c.GetName() == m.GetCluster()
	})
	return errors.Join(
		need(there, "there is no cluster %q", m.GetCluster()),
		need(m.GetTimeout() != nil && m.GetTimeout().AsDuration() == 0, "the timeout of the route is not 0s: streams would end"),
	)
}

func need(holds bool, format string, args ...any) error {
	if holds {
		return nil
	}
	return fmt.Errorf(format, args...)
}
