// Package health reports whether the service works: in public by GET /v1/health, without
// details, and to operators by the probes of the admin port, with details.
package health
