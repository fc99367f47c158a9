// Package formats decides in which format records are written while several releases may run.
package formats
