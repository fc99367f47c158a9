// Package arn has the ARNs of executions and state machines: how they are parsed and made.
package arn
