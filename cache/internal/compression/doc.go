// Package compression compresses the results of executions when they are stored, and makes
// gzip answers from them without compressing again when they are read.
package compression
