// Package diagnose checks whether Redis is set up as the service needs it, and whether
// its contents are what a healthy service would have stored. The result of each check is
// a Finding: what was checked, what was found, and how to fix what is wrong.
package diagnose
