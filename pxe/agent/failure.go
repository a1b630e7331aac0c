package main

import (
	"errors"
	"fmt"
)

// Failure is why the agent gave up. The provisioning API chooses its hint to the operator by Code.
type Failure struct {
	Code    string
	Message string
}

func (f *Failure) Error() string { return f.Code + ": " + f.Message }

// Codes that the API knows (provisioning_api/reports/service.py).
const (
	diskTooSmall    = "disk_too_small"
	diskFailed      = "disk_failed"
	noDisk          = "no_disk"
	badChunk        = "bad_chunk"
	badSignature    = "bad_signature"
	artefactMissing = "artefact_missing"
	networkLost     = "network_lost"
	tlsFailed       = "tls_failed"
	halfWritten     = "half_written"
	otherSystem     = "other_system"
	agentBroken     = "agent_broken"
)

func failf(code, format string, words ...any) *Failure {
	return &Failure{code, fmt.Sprintf(format, words...)}
}

// asFailure keeps a named failure as it is; whatever else went wrong is one of the given code.
func asFailure(code string, err error) *Failure {
	var named *Failure
	if errors.As(err, &named) {
		return named
	}
	return &Failure{code, err.Error()}
}
