package main

import (
	"context"
	"errors"
	"io"
	"time"
)

var errSilent = errors.New("the server has stopped sending")

// watched is an answer whose connection ends when the server falls silent. However long all of it takes, it goes on
// while something comes; and whoever reads may take time between two reads.
type watched struct {
	io.ReadCloser
	context context.Context
	alarm   *time.Timer
	quiet   time.Duration
}

func watch(quiet time.Duration) *watched {
	within, cancel := context.WithCancelCause(context.Background())
	return &watched{context: within, quiet: quiet, alarm: time.AfterFunc(quiet, func() { cancel(errSilent) })}
}

func (w *watched) Read(into []byte) (int, error) {
	w.alarm.Reset(w.quiet)
	defer w.alarm.Stop()
	return w.ReadCloser.Read(into)
}
