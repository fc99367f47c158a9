// Package compression compresses the results of executions when they are stored, and makes
// gzip answers from them without compressing again when they are read.
//
// There are no dictionaries. With one for each state machine, executions would need 10 to 23
// percent less memory (bench -only dictionaries). But a dictionary must be kept as long as any
// record needs it, and would keep pieces of erased results.
package compression
