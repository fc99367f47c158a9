// Package indexes reads the members of the indexes of executions, in either form (package
// member).
package indexes
