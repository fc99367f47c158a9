// Package app has the common parts of the three programs: the settings, and the wiring of
// cache, ingest and httpapi into one running service.
//
// Settings come from flags and environment variables; a flag takes precedence. All mistakes are
// reported together, and no message or listing shows a secret. Run builds the
// parts in the order in which they depend on each other and stops them in the
// reverse order, within one deadline.
package app
