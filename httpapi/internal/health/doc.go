// Package health reports whether the service works: to the public with GET /v1/health,
// without details, and to operators with the probes of the admin port, with details.
package health
