package redisdb

import (
	"reflect"
	"testing"

	"github.com/redis/go-redis/v9"
)

// TestNoTypeThatOthersSeeContainsAClient of go-redis: each package that sees one takes seconds
// longer to compile.
func TestNoTypeThatOthersSeeContainsAClient(t *testing.T) {
	t.Parallel()
	seen := map[reflect.Type]bool{}
	for _, each := range []reflect.Type{reflect.TypeFor[*DB](), reflect.TypeFor[*Command]()} {
		if path := pathToClient(each, seen); path != "" {
			t.Error(path)
		}
	}
	if path := pathToClient(reflect.TypeFor[*redis.PubSub](), map[reflect.Type]bool{}); path == "" {
		t.Error("no client is found in a redis.PubSub")
	}
}

// pathToClient returns how a type leads to a client of go-redis, empty if it does not.
func pathToClient(of reflect.Type, seen map[reflect.Type]bool) string {
	switch of {
	case reflect.TypeFor[redis.Client](), reflect.TypeFor[redis.ClusterClient](), reflect.TypeFor[redis.SentinelClient]():
		return of.String()
	}
	if seen[of] {
		return ""
	}
	seen[of] = true
	for _, part := range partsOf(of) {
		if path := pathToClient(part, seen); path != "" {
			return of.String() + " > " + path
		}
	}
	return ""
}

// partsOf returns the types that a type consists of, and those in its exported methods.
func partsOf(of reflect.Type) (parts []reflect.Type) {
	switch of.Kind() {
	case reflect.Map:
		parts = append(parts, of.Key(), of.Elem())
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Chan:
		parts = append(parts, of.Elem())
	case reflect.Struct:
		for field := range of.Fields() {
			parts = append(parts, field.Type)
		}
	case reflect.Func:
		for in := range of.Ins() {
			parts = append(parts, in)
		}
		for out := range of.Outs() {
			parts = append(parts, out)
		}
	}
	for method := range of.Methods() {
		parts = append(parts, method.Type)
	}
	return parts
}
