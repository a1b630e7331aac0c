package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// talking is a ramdisk that speaks with an API; `answers` are asked by the last word of the path.
func talking(t *testing.T, answers map[string]http.HandlerFunc) *Ramdisk {
	t.Helper()
	ours := newAuthority(t)
	server := ours.serving(t, "127.0.0.1:0", func(answer http.ResponseWriter, request *http.Request) {
		answers[strings.TrimPrefix(request.URL.Path, "/api/agent/")](answer, request)
	})
	store := &KeyStore{}
	key, err := store.key()
	if err != nil {
		t.Fatal(err)
	}
	return &Ramdisk{console: &Console{}, api: newAPI(server.URL, ours.trust(), key), keys: store}
}

func says(content string) http.HandlerFunc {
	return func(answer http.ResponseWriter, _ *http.Request) { answer.Write([]byte(content)) }
}

func refuses(status int, code string) http.HandlerFunc {
	return func(answer http.ResponseWriter, _ *http.Request) {
		answer.WriteHeader(status)
		answer.Write([]byte(`{"code": "` + code + `", "detail": "no"}`))
	}
}

// lost is an answer that never arrives.
func lost(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func TestACertificateOfOurAuthorityForAnotherAddressIsNotTheServers(t *testing.T) {
	ours := newAuthority(t)
	ask := func(address string) error {
		var answer struct{}
		server := ours.serving(t, address, says("{}"))
		return postJSON(ours.trust().client(0), server.URL, "", struct{}{}, &answer, nil)
	}
	if err := ask("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	// As a member would answer, whose certificate is of the same authority.
	mustFail(t, ask("127.0.0.2:0"), tlsFailed)
}

func TestAReportThatComesAfterHoursIsMadeWithANewChallenge(t *testing.T) {
	machine := talking(t, map[string]http.HandlerFunc{
		"challenge": says(`{"challenge": "fresh"}`),
		"report": func(answer http.ResponseWriter, request *http.Request) {
			var call map[string]string
			if json.NewDecoder(request.Body).Decode(&call) != nil || call["challenge"] != "fresh" {
				refuses(http.StatusUnauthorized, "enrolment.challenge_expired")(answer, request)
				return
			}
			answer.Write([]byte(`{"challenge": "next"}`))
		},
	})
	machine.api.challenge = "of this morning"
	if err := machine.tell(Report{Wiped: []WipedDisk{}}); err != nil || machine.api.challenge != "next" {
		t.Fatal(err, machine.api.challenge)
	}
}

func TestAMembershipWhoseAnswerIsLostIsCollected(t *testing.T) {
	for name, first := range map[string]http.HandlerFunc{
		"lost":                     lost,
		"an engine is down":        refuses(http.StatusServiceUnavailable, "engine.away"),
		"lost before, asked again": refuses(http.StatusConflict, "enrolment.token_used"),
	} {
		machine := talking(t, map[string]http.HandlerFunc{"enrol": first, "collect": says(`{"name": "node1"}`)})
		if member, err := machine.api.enrol(struct{}{}); err != nil || member.Name != "node1" {
			t.Error(name, member, err)
		}
	}
}

func TestAnEnrolmentThatNeverArrivedCanBeAskedForAgainAndARefusedOneCannot(t *testing.T) {
	nothing := refuses(http.StatusConflict, "enrolment.nothing_to_collect")
	machine := talking(t, map[string]http.HandlerFunc{"enrol": lost, "collect": nothing})
	if _, err := machine.api.enrol(struct{}{}); err == nil || isPermanent(err) {
		t.Error(err)
	}
	machine = talking(t, map[string]http.HandlerFunc{"enrol": refuses(http.StatusForbidden, "enrolment.token_expired")})
	if _, err := machine.api.enrol(struct{}{}); !isPermanent(err) {
		t.Error(err)
	}
}

func TestADiskThatIsLeftHalfWrittenHasNoSpareTableOfAnOlderSystem(t *testing.T) {
	made, disk := publish(t), diskWith(t, 3*mebibyte)
	copy(made.data[made.image.Chunks[2].At:], "somebody else's bytes")
	machine := talking(t, map[string]http.HandlerFunc{"write": says(`{"machine_id": "mch_1"}`)})
	machine.api.machineID, machine.mirror = "mch_1", made.mirror()
	mustFail(t, machine.write(made.image, Disk{Name: "sda", Bytes: 3 * mebibyte}, disk), badChunk)
	for _, one := range contentOf(t, disk)[2*mebibyte:] {
		if one != 0 {
			t.Fatal("the end of the disk is as it was")
		}
	}
}

func TestNothingIsWrittenWithoutAYesForThisVeryMachine(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"no": refuses(http.StatusForbidden, "enrolment.not_claimed"), "a yes for another": says(`{"machine_id": "mch_2"}`), "lost": lost,
	} {
		made, disk := publish(t), diskWith(t, mebibyte)
		before := string(contentOf(t, disk))
		machine := talking(t, map[string]http.HandlerFunc{"write": answer})
		machine.api.machineID, machine.mirror = "mch_1", made.mirror()
		if err := machine.write(made.image, Disk{Name: "sda", Bytes: mebibyte}, disk); err == nil || string(contentOf(t, disk)) != before {
			t.Error(name, err)
		}
	}
}

// reported is the call that a report was sent as.
type reported struct {
	AgentKey  string `json:"agent_key"`
	Challenge string `json:"challenge"`
	Payload   string `json:"payload"`
	Signature string `json:"signature"`
}

func TestAReportIsSignedByTheKeyThatItPresents(t *testing.T) {
	var call reported
	machine := talking(t, map[string]http.HandlerFunc{
		"challenge": says(`{"challenge": "fresh"}`),
		"discover": func(answer http.ResponseWriter, request *http.Request) {
			if err := json.NewDecoder(request.Body).Decode(&call); err != nil {
				t.Error(err)
			}
			answer.Write([]byte(`{"machine_id": "mch_1", "challenge": "next"}`))
		},
	})
	if _, err := machine.api.discover(Identity{MACs: []string{"52:54:00:00:00:01"}}, Hardware{}, "10.0.0.7", Proofs{}); err != nil {
		t.Fatal(err)
	}
	key, err := hex.DecodeString(call.AgentKey)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := hex.DecodeString(call.Signature)
	if err != nil {
		t.Fatal(err)
	}
	if call.Challenge != "fresh" || machine.api.challenge != "next" || !strings.Contains(call.Payload, "52:54:00:00:00:01") {
		t.Fatal(call, machine.api.challenge)
	}
	if !ed25519.Verify(key, signedText("discover", call.AgentKey, "fresh", call.Payload), signature) {
		t.Fatal("the signature is not that of the key")
	}
}

func TestAMemberProvesItsNewRamdiskByTheCredentialOnItsDiskAndAnAnnouncedOneByItsAssetTag(t *testing.T) {
	ours, sys, folder := newAuthority(t), t.TempDir(), t.TempDir()
	leaf, key := ours.leafOf(t, "node1", time.Now(), time.Now().Add(time.Hour))
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string][]byte{
		filepath.Join(folder, "machine.pem"):                       pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw}),
		filepath.Join(folder, "machine-key.pem"):                   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		filepath.Join(sys, "class/dmi/id/chassis_asset_tag"):       []byte("chassis-asset-tag-4711\n"),
		filepath.Join(sys, "short/class/dmi/id/chassis_asset_tag"): []byte("No Asset Tag\n"),
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if announcedSecret(filepath.Join(sys, "short")) != nil {
		t.Fatal("what a maker left there is no secret")
	}
	proofs := Proofs{secret: announcedSecret(sys)}
	if proofs.serial, proofs.key, err = memberIn(folder); err != nil {
		t.Fatal(err)
	}
	said := map[string]any{}
	if err := proofs.add(said, "key", "challenge"); err != nil {
		t.Fatal(err)
	}
	// As Python's hmac has it, over the lines that the server knows.
	if said["announced"] != "515aa88b91db296b2287c266c9162b42b3d1bc246162873a0289e810269d1034" {
		t.Fatal(said["announced"])
	}
	member := said["member"].(map[string]string)
	signature, err := base64.StdEncoding.DecodeString(member["signature"])
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(signedText("member", "key", "challenge", ""))
	if member["serial"] != leaf.SerialNumber.String() || !ecdsa.VerifyASN1(&key.PublicKey, digest[:], signature) {
		t.Fatal(member)
	}
}
