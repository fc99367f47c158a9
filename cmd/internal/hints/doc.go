// Package hints says what to do if a request to the service gets no answer, or an answer from
// another server. It knows the settings of statusctl, which httpapi/client does not.
package hints
