package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// talking is a ramdisk that speaks with an API; `answers` are asked by the last word of the path.
func talking(t *testing.T, answers map[string]http.HandlerFunc) *Ramdisk {
	t.Helper()
	ours := newAuthority(t)
	server := ours.serving(t, "127.0.0.1:0", func(answer http.ResponseWriter, request *http.Request) {
		answers[strings.TrimPrefix(request.URL.Path, "/api/agent/")](answer, request)
	})
	api, err := newAPI(server.URL, ours.trust())
	if err != nil {
		t.Fatal(err)
	}
	return &Ramdisk{console: &Console{}, api: api}
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
		"discover": says(`{"machine_id": "mch_1", "challenge": "fresh"}`),
		"report": func(answer http.ResponseWriter, request *http.Request) {
			var call map[string]string
			if json.NewDecoder(request.Body).Decode(&call) != nil || call["challenge"] != "fresh" {
				refuses(http.StatusUnauthorized, "agent.bad_challenge")(answer, request)
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
	if _, err := machine.api.enrol(struct{}{}); err == nil || isNo(err) {
		t.Error(err)
	}
	machine = talking(t, map[string]http.HandlerFunc{"enrol": refuses(http.StatusForbidden, "enrolment.token_expired")})
	if _, err := machine.api.enrol(struct{}{}); !isNo(err) {
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
