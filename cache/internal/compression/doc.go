// Package compression stores the results of executions smaller, and answers compressed by gzip
// from them, without compressing anything when it is read.
package compression
