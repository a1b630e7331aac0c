package main

import "time"

// Spans are the times of this machine's own steps. They are told as "so long ago", because its clock may be wrong.
type Spans struct {
	done []span
}

type span struct {
	name       string
	start, end time.Duration // since the kernel started
}

// ReportedSpan is one on its way to the API.
type ReportedSpan struct {
	Name    string  `json:"name"`
	AgoS    float64 `json:"ago_s"`
	Seconds float64 `json:"seconds"`
}

// begin starts one; what it returns ends it.
func (s *Spans) begin(name string) func() {
	start := uptime()
	return func() { s.note(name, start) }
}

func (s *Spans) note(name string, start time.Duration) {
	s.done = append(s.done, span{name, start, uptime()})
}

// take gives those that have ended since the last time.
func (s *Spans) take() []ReportedSpan {
	now, found := uptime(), []ReportedSpan{}
	for _, one := range s.done[max(0, len(s.done)-100):] {
		found = append(found, ReportedSpan{one.name, (now - one.start).Seconds(), (one.end - one.start).Seconds()})
	}
	s.done = nil
	return found
}
