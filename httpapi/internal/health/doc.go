// Package health reports what the service lacks: in public by GET /v1/health, without the
// reasons, and to operators by the probes of the admin port, with them.
package health
