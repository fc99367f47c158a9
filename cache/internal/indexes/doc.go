// Package indexes reads what the indexes of executions hold, whichever form it has there (package
// member).
package indexes
