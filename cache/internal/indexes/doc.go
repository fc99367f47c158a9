// Package indexes reads the members of the indexes of executions, in either form (package
// shortname), and decides when the index of an owner is trimmed.
package indexes
