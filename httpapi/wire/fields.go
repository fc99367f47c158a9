package wire

// field is the meaning of a header field's name for the connection.
type field int

// Fields that a poll may have and that its handler reads. If a handler of the hot route
// must read another field, add it here.
const (
	authorizationField field = iota
	ifNoneMatchField
	acceptField
	acceptEncodingField
	requestIDField
	traceParentField
	traceStateField
	hotFields // how many they are

	harmlessField   // no handler reads it
	unknownField    // a handler may read it
	hostField       // the grammar reads these
	lengthField     //
	codingField     //
	connectionField //
	foreignField    // it changes where a request ends, or what follows it
)

// hotNames are the names by which handlers find the fields of a poll.
var hotNames = [hotFields]string{"Authorization", "If-None-Match", "Accept", "Accept-Encoding", "X-Request-Id", "Traceparent", "Tracestate"}

// names are the fields that have a meaning here. Harmless fields are those that clients
// and proxies add to every request; a poll has no others.
var names = map[string]field{
	"authorization": authorizationField, "if-none-match": ifNoneMatchField, "accept": acceptField,
	"accept-encoding": acceptEncodingField, "x-request-id": requestIDField,
	"traceparent": traceParentField, "tracestate": traceStateField,

	"host": hostField, "content-length": lengthField, "connection": connectionField,

	"transfer-encoding": codingField, "trailer": foreignField, "expect": foreignField,
	"upgrade": foreignField, "http2-settings": foreignField,

	// clients
	"user-agent": harmlessField, "accept-language": harmlessField, "accept-charset": harmlessField, "referer": harmlessField,
	"cache-control": harmlessField, "pragma": harmlessField, "cookie": harmlessField, "dnt": harmlessField,
	"priority": harmlessField, "content-type": harmlessField, "from": harmlessField, "x-requested-with": harmlessField,
	"sec-fetch-site": harmlessField, "sec-fetch-mode": harmlessField, "sec-fetch-dest": harmlessField, "sec-fetch-user": harmlessField,
	"sec-ch-ua": harmlessField, "sec-ch-ua-mobile": harmlessField, "sec-ch-ua-platform": harmlessField, "sec-gpc": harmlessField,
	"upgrade-insecure-requests": harmlessField, "x-amz-user-agent": harmlessField,

	// proxies and load balancers
	"forwarded": harmlessField, "via": harmlessField, "x-real-ip": harmlessField, "true-client-ip": harmlessField, "cdn-loop": harmlessField,
	"x-forwarded-for": harmlessField, "x-forwarded-proto": harmlessField, "x-forwarded-port": harmlessField,
	"x-forwarded-host": harmlessField, "x-forwarded-server": harmlessField, "x-forwarded-scheme": harmlessField, "x-scheme": harmlessField,
	"x-amzn-trace-id": harmlessField, "x-amz-cf-id": harmlessField, "x-envoy-expected-rq-timeout-ms": harmlessField,
	"x-envoy-external-address": harmlessField, "cf-connecting-ip": harmlessField, "cf-ray": harmlessField, "cf-visitor": harmlessField,
	"cf-ipcountry": harmlessField, "cloudfront-viewer-country": harmlessField,

	// tracing
	"baggage": harmlessField, "sentry-trace": harmlessField, "b3": harmlessField,
	"x-b3-traceid": harmlessField, "x-b3-spanid": harmlessField, "x-b3-parentspanid": harmlessField, "x-b3-sampled": harmlessField,
	"x-datadog-trace-id": harmlessField, "x-datadog-parent-id": harmlessField, "x-datadog-sampling-priority": harmlessField,
	"x-cloud-trace-context": harmlessField, "uber-trace-id": harmlessField, "newrelic": harmlessField,
}

// namesByLength are the names in lower case. A name is compared with the few names of the
// same length, which costs less than hashing it in lower case.
var namesByLength = func() (all [32][]named) {
	for name, f := range names {
		all[len(name)] = append(all[len(name)], named{name, f})
	}
	return all
}()

type named struct {
	name  string
	field field
}

// fieldOf returns the meaning of a name, which is a token.
func fieldOf(name string) field {
	if len(name) >= len(namesByLength) {
		return unknownField
	}
	for _, n := range namesByLength[len(name)] {
		if sameName(name, n.name) {
			return n.field
		}
	}
	return unknownField
}

// sameName compares a token with a name of lower-case letters, digits and hyphens.
// Setting the lower-case bit turns no other character of a token into one of these.
func sameName(name, lower string) bool {
	for i := range len(lower) {
		if name[i]|0x20 != lower[i] {
			return false
		}
	}
	return true
}
