// Package diagnose checks whether Redis is set up as the service needs it, and whether
// its contents are what a healthy service would have stored. Each check ends in a
// Finding: what was looked at, what was seen, and the cure of what is wrong.
package diagnose
