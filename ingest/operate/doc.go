// Package operate sets up the path of the events from Step Functions into the queue, and
// looks after it: it makes queue, rule and archive, finds out what is wrong with them, has
// archived events sent again, and looks after dead letters. It is what the verbs of
// statusctl use of AWS; the service itself never calls it.
package operate
