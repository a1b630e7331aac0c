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

// API is the provisioning API as this ramdisk knows it. Its key signs every call, the first report too, so that
// whoever reported is the one who writes and enrols.
type API struct {
	base      string
	http      *http.Client
	key       ed25519.PrivateKey
	machineID string
	challenge string
	// Clock is told the server's time after each answer: the connection has proved who says so.
	Clock func(time.Time)
}

// Refused is an answer of the API that says no.
type Refused struct {
	Status int
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

func (r *Refused) Error() string {
	return fmt.Sprintf("the provisioning API refuses (%d %s): %s", r.Status, r.Code, r.Detail)
}

// isNo says whether asking again is of no use: it was heard, understood and refused.
func isNo(err error) bool {
	var refused *Refused
	return errors.As(err, &refused) && refused.Status < 500 && refused.Status != http.StatusTooManyRequests
}

func isCode(err error, code string) bool {
	var refused *Refused
	return errors.As(err, &refused) && refused.Code == code
}

func newAPI(base string, trust Trust, key ed25519.PrivateKey) *API {
	return &API{base: base, http: trust.client(2 * time.Minute), key: key, Clock: func(time.Time) {}}
}

// Discovered is the answer to a report: whom the API takes this machine for.
type Discovered struct {
	MachineID string `json:"machine_id"`
	Name      string `json:"name"`
	State     string `json:"state"`
	Code      string `json:"code"`
	Challenge string `json:"challenge"`
	PollS     int    `json:"poll_s"`
}

// Claimed says what to do next: wait, write, enrol, wipe or boot.
type Claimed struct {
	State     string  `json:"state"`
	Next      string  `json:"next"`
	Token     *string `json:"token"`
	Challenge string  `json:"challenge"`
}

func (a *API) publicKey() string { return hex.EncodeToString(a.key.Public().(ed25519.PublicKey)) }

// code is what people compare with the list of the provisioning API: 48 bits of the key.
func (a *API) code() string {
	digest := sha256.Sum256(a.key.Public().(ed25519.PublicKey))
	text := hex.EncodeToString(digest[:6])
	return text[:4] + "-" + text[4:8] + "-" + text[8:]
}

// discover reports, signed by the key that it presents. The challenge is for that key: nobody knows the machine yet.
// What `proofs` says shows that a key that was made just now is this machine's.
func (a *API) discover(identity Identity, hardware Hardware, address string, proofs Proofs) (Discovered, error) {
	var found Discovered
	challenge, err := a.newChallenge(map[string]string{"agent_key": a.publicKey()})
	if err != nil {
		return found, err
	}
	said := map[string]any{"macs": identity.MACs, "uuid": identity.UUID, "hardware": hardware, "address": address}
	if err := proofs.add(said, a.publicKey(), challenge); err != nil {
		return found, err
	}
	payload, err := json.Marshal(said)
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

// newChallenge is for one call of a machine that is known, or of a key that is not.
func (a *API) newChallenge(question map[string]string) (string, error) {
	var made struct {
		Challenge string `json:"challenge"`
	}
	err := a.post("/api/agent/challenge", question, &made)
	return made.Challenge, err
}

// call signs and sends. A challenge is good for one call and for minutes: one that was used, because the answer to that
// call was lost, or that has run out, because a write takes hours, is asked for anew.
func (a *API) call(verb, payload string, answer any) error {
	err := a.post("/api/agent/"+verb, a.signed(verb, payload), answer)
	if !isCode(err, "enrolment.challenge_used") && !isCode(err, "enrolment.challenge_expired") && !isCode(err, "enrolment.bad_challenge") {
		return err
	}
	challenge, asked := a.newChallenge(map[string]string{"machine_id": a.machineID})
	if asked != nil {
		return asked
	}
	a.challenge = challenge
	return a.post("/api/agent/"+verb, a.signed(verb, payload), answer)
}

func (a *API) claim() (Claimed, error) {
	var found Claimed
	if err := a.call("claim", "", &found); err != nil {
		return found, err
	}
	a.challenge = found.Challenge
	return found, nil
}

// beginWrite uses the acceptance up. After it, and only after it, a disk may be changed.
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
		return fmt.Errorf("the yes to a write is for %q and not for this machine", grant.MachineID)
	}
	return nil
}

// enrol may be called again after every error but a no: the exchange happens once, and its answer can be collected.
func (a *API) enrol(request any) (Membership, error) {
	var found, collected Membership
	err := a.post("/api/agent/enrol", request, &found)
	if err == nil || isNo(err) && !isCode(err, "enrolment.token_used") {
		return found, err
	}
	// The answer may be lost, and the token used: ask for the same answer again.
	again := a.call("collect", "", &collected)
	if isNo(again) {
		return found, err // there was no exchange
	}
	return collected, again
}

func (a *API) report(report Report) error {
	text, err := json.Marshal(report)
	if err != nil {
		return err
	}
	var taken struct {
		Challenge string `json:"challenge"`
	}
	if err := a.call("report", string(text), &taken); err != nil {
		return err
	}
	a.challenge = taken.Challenge
	return nil
}

// signed is a call in the four lines that provisioning_api/enrolment/challenges.py checks.
func (a *API) signed(verb, payload string) map[string]any {
	return map[string]any{
		"machine_id": a.machineID, "challenge": a.challenge, "payload": payload,
		"signature": a.signature(verb, a.machineID, a.challenge, payload),
	}
}

func (a *API) signature(verb, subject, challenge, payload string) string {
	return hex.EncodeToString(ed25519.Sign(a.key, signedText(verb, subject, challenge, payload)))
}

// signedText is what every key of a machine signs: the ramdisk's, and that of a member's certificate.
func signedText(verb, subject, challenge, payload string) []byte {
	digest := sha256.Sum256([]byte(payload))
	return []byte(strings.Join([]string{verb, subject, challenge, hex.EncodeToString(digest[:])}, "\n"))
}

func (a *API) post(path string, request, answer any) error {
	return postJSON(a.http, a.base+path, "", request, answer, a.Clock)
}

// postJSON sends and reads JSON; a Refused for every answer that is not a good one.
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
		return named(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err != nil {
		return named(err)
	}
	if clock != nil {
		if at, err := http.ParseTime(response.Header.Get("Date")); err == nil {
			clock(at)
		}
	}
	if response.StatusCode/100 != 2 {
		refused := &Refused{Status: response.StatusCode}
		if json.Unmarshal(content, refused) != nil || refused.Detail == "" {
			refused.Detail = "it gives no reason"
		}
		return refused
	}
	return json.Unmarshal(content, answer)
}

// named tells a server that proves nothing from one that cannot be reached.
func named(err error) error {
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
