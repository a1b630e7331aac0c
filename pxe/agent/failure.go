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
	artefactInvalid = "artefact_invalid"
	noNetworkCard   = "no_network_card"
	kexecRefused    = "kexec_refused"
	networkLost     = "network_lost"
	tlsFailed       = "tls_failed"
	halfWritten     = "half_written"
	otherSystem     = "other_system"
	agentBroken     = "agent_broken"
)

func failf(code, format string, words ...any) *Failure {
	return &Failure{code, fmt.Sprintf(format, words...)}
}

// asFailure returns a Failure as it is, and any other error as a Failure with this code.
func asFailure(code string, err error) *Failure {
	var named *Failure
	if errors.As(err, &named) {
		return named
	}
	return &Failure{code, err.Error()}
}
