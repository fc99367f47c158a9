package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// responses reads the answers that come over one connection. It knows what the
// peers send, and costs less than net/http, because the load shares the
// machine with what is measured.
type responses struct {
	r    *bufio.Reader
	body []byte // of the last answer
}

func newResponses(r io.Reader) *responses { return &responses{r: bufio.NewReaderSize(r, 16<<10)} }

var (
	errResponse = errors.New("not a response of HTTP/1.1 with a length")
	lengthName  = []byte("content-length:")
)

const maxResponse = 8 << 20 // bytes; far more than any peer sends

// next reads one answer. The body is good until the next call.
func (r *responses) next() (status int, body []byte, err error) {
	line, err := r.r.ReadSlice('\n')
	if err != nil {
		return 0, nil, fmt.Errorf("no answer: %w", err)
	}
	if status, err = parseStatus(line); err != nil {
		return 0, nil, err
	}
	length, err := r.head()
	if err != nil {
		return 0, nil, err
	}
	if length < 0 {
		if !bodiless(status) {
			return 0, nil, errResponse
		}
		length = 0
	}
	if cap(r.body) < length {
		r.body = make([]byte, length)
	}
	r.body = r.body[:length]
	if _, err := io.ReadFull(r.r, r.body); err != nil {
		return 0, nil, fmt.Errorf("answer cut off: %w", err)
	}
	return status, r.body, nil
}

// head reads the header fields and returns the length of the body, -1 if it is
// not reported.
func (r *responses) head() (length int, err error) {
	length = -1
	for {
		line, err := r.r.ReadSlice('\n')
		if err != nil {
			return 0, fmt.Errorf("head cut off: %w", err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return length, nil
		}
		if n := len(lengthName); len(line) > n && bytes.EqualFold(line[:n], lengthName) {
			length, err = strconv.Atoi(string(bytes.TrimSpace(line[n:])))
			if err != nil || length < 0 || length > maxResponse {
				return 0, errResponse
			}
		}
	}
}

func bodiless(status int) bool { return status == 204 || status == 304 }

func parseStatus(line []byte) (int, error) {
	rest, ok := bytes.CutPrefix(line, []byte("HTTP/1.1 "))
	if !ok || len(rest) < 3 {
		return 0, errResponse
	}
	status, err := strconv.Atoi(string(rest[:3]))
	if err != nil || status < 100 {
		return 0, errResponse
	}
	return status, nil
}
