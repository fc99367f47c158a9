// Package indexes reads what the indexes of executions hold, in either form (package
// member).
package indexes
