// Package cures says what to do where a request to the service gets no answer, or one that is
// not of the service. It knows the settings of statusctl, which httpapi/client does not.
package cures
