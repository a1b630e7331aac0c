package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const answerLimit = 16 << 20

// API is a client of the provisioning API. Its key signs every call, also the first report, so that only the ramdisk
// that reported can write and enrol.
type API struct {
	base      string
	http      *http.Client
	key       ed25519.PrivateKey
	machineID string
	challenge string
	// Clock gets the server's time after each answer; trusted, because it came over verified TLS.
	Clock func(time.Time)
}

// APIError is an error response of the API.
type APIError struct {
	Status int
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

func (r *APIError) Error() string {
	return fmt.Sprintf("the provisioning API refuses (%d %s): %s", r.Status, r.Code, r.Detail)
}

// isPermanent says whether a retry is of no use: an error response below 500, other than 429.
func isPermanent(err error) bool {
	var refused *APIError
	return errors.As(err, &refused) && refused.Status < 500 && refused.Status != http.StatusTooManyRequests
}

func isCode(err error, code string) bool {
	var refused *APIError
	return errors.As(err, &refused) && refused.Code == code
}

func newAPI(base string, trust Trust, key ed25519.PrivateKey) *API {
	return &API{base: base, http: trust.client(2 * time.Minute), key: key, Clock: func(time.Time) {}}
}

// DiscoverResponse is the answer to a report: the machine that the API knows under this key.
type DiscoverResponse struct {
	MachineID string `json:"machine_id"`
	Name      string `json:"name"`
	State     string `json:"state"`
	Code      string `json:"code"`
	Challenge string `json:"challenge"`
	PollS     int    `json:"poll_s"`
}

// ClaimResponse is the answer to a claim: what to do next (wait, write, enrol, wipe or boot).
type ClaimResponse struct {
	State     string  `json:"state"`
	Next      string  `json:"next"`
	Token     *string `json:"token"`
	Challenge string  `json:"challenge"`
}

func (a *API) publicKey() string { return hex.EncodeToString(a.key.Public().(ed25519.PublicKey)) }

// keyFingerprint is what people compare with the list of the provisioning API: 48 bits of the key's hash.
func (a *API) keyFingerprint() string {
	digest := sha256.Sum256(a.key.Public().(ed25519.PublicKey))
	text := hex.EncodeToString(digest[:6])
	return text[:4] + "-" + text[4:8] + "-" + text[8:]
}

// discover reports this machine, signed by the key that it presents. The challenge is for that key, because the API does
// not know the machine yet. `proofs` shows that a new key belongs to this machine.
func (a *API) discover(identity Identity, hardware Hardware, address string, proofs Proofs) (DiscoverResponse, error) {
	var found DiscoverResponse
	challenge, err := a.newChallenge(map[string]string{"agent_key": a.publicKey()})
	if err != nil {
		return found, err
	}
	fields := map[string]any{"macs": identity.MACs, "uuid": identity.UUID, "hardware": hardware, "address": address}
	if err := proofs.add(fields, a.publicKey(), challenge); err != nil {
		return found, err
	}
	payload, err := json.Marshal(fields)
	if err != nil {
		return found, err
	}
	report := map[string]any{
		"agent_key": a.publicKey(), "challenge": challenge, "payload": string(payload),
		"signature": a.signature("discover", a.publicKey(), challenge, string(payload)),
	}
	if err := a.post("/api/agent/discover", report, &found); err != nil {
		return found, err
	}
	a.machineID, a.challenge = found.MachineID, found.Challenge
	return found, nil
}

// newChallenge gets a challenge for one call, of a known machine or of a new key.
func (a *API) newChallenge(subject map[string]string) (string, error) {
	var response struct {
		Challenge string `json:"challenge"`
	}
	err := a.post("/api/agent/challenge", subject, &response)
	return response.Challenge, err
}

// call signs and sends a payload. A challenge is good for one call and some minutes. The API refuses a used one (the
// answer to an earlier call was lost) and an expired one (a write takes hours): then call gets a new one and tries again.
func (a *API) call(method, payload string, answer any) error {
	err := a.post("/api/agent/"+method, a.signed(method, payload), answer)
	if !isCode(err, "enrolment.challenge_used") && !isCode(err, "enrolment.challenge_expired") && !isCode(err, "enrolment.bad_challenge") {
		return err
	}
	challenge, challengeErr := a.newChallenge(map[string]string{"machine_id": a.machineID})
	if challengeErr != nil {
		return challengeErr
	}
	a.challenge = challenge
	return a.post("/api/agent/"+method, a.signed(method, payload), answer)
}

func (a *API) claim() (ClaimResponse, error) {
	var found ClaimResponse
	if err := a.call("claim", "", &found); err != nil {
		return found, err
	}
	a.challenge = found.Challenge
	return found, nil
}

// beginWrite spends the write grant of this acceptance. Only after it may a disk be changed.
func (a *API) beginWrite() error {
	var grant struct {
		MachineID string `json:"machine_id"`
		Challenge string `json:"challenge"`
	}
	if err := a.call("write", "", &grant); err != nil {
		return err
	}
	a.challenge = grant.Challenge
	if grant.MachineID != a.machineID {
		return fmt.Errorf("the write grant is for %q and not for this machine", grant.MachineID)
	}
	return nil
}

// enrol exchanges the token for a membership. It can be retried unless isPermanent: the exchange happens once, and its
// answer can be collected.
func (a *API) enrol(request any) (Membership, error) {
	var found, collected Membership
	err := a.post("/api/agent/enrol", request, &found)
	if err == nil || isPermanent(err) && !isCode(err, "enrolment.token_used") {
		return found, err
	}
	// The answer may be lost, and the token used: ask for the same answer again.
	collectErr := a.call("collect", "", &collected)
	if isPermanent(collectErr) {
		return found, err // there was no exchange
	}
	return collected, collectErr
}

func (a *API) report(report Report) error {
	text, err := json.Marshal(report)
	if err != nil {
		return err
	}
	var response struct {
		Challenge string `json:"challenge"`
	}
	if err := a.call("report", string(text), &response); err != nil {
		return err
	}
	a.challenge = response.Challenge
	return nil
}

// signed is a call in the four lines that provisioning_api/enrolment/challenges.py checks.
func (a *API) signed(method, payload string) map[string]any {
	return map[string]any{
		"machine_id": a.machineID, "challenge": a.challenge, "payload": payload,
		"signature": a.signature(method, a.machineID, a.challenge, payload),
	}
}

func (a *API) signature(method, subject, challenge, payload string) string {
	return hex.EncodeToString(ed25519.Sign(a.key, signedText(method, subject, challenge, payload)))
}

// signedText is what every key of a machine signs: the ramdisk's, and that of a member's certificate.
func signedText(method, subject, challenge, payload string) []byte {
	digest := sha256.Sum256([]byte(payload))
	return []byte(strings.Join([]string{method, subject, challenge, hex.EncodeToString(digest[:])}, "\n"))
}

func (a *API) post(path string, request, answer any) error {
	return postJSON(a.http, a.base+path, "", request, answer, a.Clock)
}

// postJSON sends and reads JSON; an error status becomes an APIError.
func postJSON(client *http.Client, url, token string, request, answer any, clock func(time.Time)) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	call, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	call.Header.Set("Content-Type", "application/json")
	if token != "" {
		call.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(call)
	if err != nil {
		return classifyTransportError(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err != nil {
		return classifyTransportError(err)
	}
	if clock != nil {
		if at, err := http.ParseTime(response.Header.Get("Date")); err == nil {
			clock(at)
		}
	}
	if response.StatusCode/100 != 2 {
		refused := &APIError{Status: response.StatusCode}
		if json.Unmarshal(content, refused) != nil || refused.Detail == "" {
			refused.Detail = "it gives no reason"
		}
		return refused
	}
	return json.Unmarshal(content, answer)
}

// classifyTransportError tells a server that cannot prove who it is (tls_failed) from one that cannot be reached (network_lost).
func classifyTransportError(err error) error {
	var failure *Failure
	if errors.As(err, &failure) {
		return failure
	}
	var (
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		name      x509.HostnameError
		alert     tls.AlertError
		record    tls.RecordHeaderError
		verify    *tls.CertificateVerificationError
	)
	if errors.As(err, &authority) || errors.As(err, &invalid) || errors.As(err, &name) ||
		errors.As(err, &alert) || errors.As(err, &record) || errors.As(err, &verify) {
		return failf(tlsFailed, "%v", err)
	}
	return failf(networkLost, "%v", err)
}
