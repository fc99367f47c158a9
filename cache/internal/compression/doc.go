// Package compression compresses the results of executions when they are stored, and makes
// gzip answers from them without compressing again when they are read.
//
// There are no dictionaries. With one for each state machine an execution would take 10 to 23 %
// less memory (bench -only dictionaries), but a dictionary has to be kept as long as any record
// that needs it, and would keep pieces of results that have been erased.
package compression
