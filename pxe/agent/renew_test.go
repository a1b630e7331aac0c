package main

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// member is an installed machine whose certificate was signed by `ours`, with an API that renews it.
func member(t *testing.T, ours authority, from, to time.Time) (folder string, asked *int) {
	t.Helper()
	folder, asked = t.TempDir(), new(int)
	leaf, key := ours.leaf(t, from, to)
	next, _ := ours.leaf(t, time.Now(), time.Now().Add(time.Hour))
	server := ours.serving(t, "127.0.0.1:0", func(answer http.ResponseWriter, request *http.Request) {
		if request.URL.Path == "/api/agent/challenge" {
			answer.Write([]byte(`{"challenge": "1.abc"}`))
			return
		}
		*asked++
		var call map[string]string
		if err := json.NewDecoder(request.Body).Decode(&call); err != nil {
			t.Error(err)
		}
		digest := sha256.Sum256([]byte(call["csr"]))
		lines := sha256.Sum256([]byte(strings.Join([]string{"renew", "mch_1", "1.abc", hex.EncodeToString(digest[:])}, "\n")))
		signature, _ := base64.StdEncoding.DecodeString(call["signature"])
		if !ecdsa.VerifyASN1(&key.PublicKey, lines[:], signature) || call["serial"] != leaf.SerialNumber.String() {
			answer.WriteHeader(http.StatusUnauthorized)
			return
		}
		content, _ := json.Marshal(map[string]string{
			"certificate": pemOf(next), "ca": pemOf(ours.certificate), "host_certificate": "host",
		})
		answer.Write(content)
	})
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	home, _ := json.Marshal(CallHome{server.URL, "node1", "token"})
	for name, content := range map[string]string{
		"ca.pem": pemOf(ours.certificate), "machine.pem": pemOf(leaf), "call-home.json": string(home),
		"engines.json":         `{"machine_id": "mch_1"}`,
		"host-certificate.pub": "old host", "ssh_host_ed25519_key-cert.pub": "old host",
		"machine-key.pem": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder, asked
}

func pemOf(certificate *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}))
}

func TestAMemberRenewsInTheLastThirdWithItsOldKey(t *testing.T) {
	now := time.Now()
	folder, asked := member(t, newAuthority(t), now.Add(-9*time.Hour), now.Add(time.Hour))
	before, _ := os.ReadFile(filepath.Join(folder, "machine-key.pem"))
	done, err := renew(folder, folder, now)
	if err != nil || !done || *asked != 1 {
		t.Fatal(done, err, *asked)
	}
	after, _ := os.ReadFile(filepath.Join(folder, "machine-key.pem"))
	host, _ := os.ReadFile(filepath.Join(folder, "ssh_host_ed25519_key-cert.pub"))
	if string(before) == string(after) || string(host) != "host\n" {
		t.Fatal("the new certificates are not in place")
	}
	if _, err := os.Stat(filepath.Join(folder, "machine-key.next.pem")); err == nil {
		t.Fatal("the next key is still waiting")
	}
}

func TestAMemberAsksNobodyWhileItsCertificateIsYoung(t *testing.T) {
	now := time.Now()
	folder, asked := member(t, newAuthority(t), now.Add(-time.Hour), now.Add(9*time.Hour))
	if done, err := renew(folder, folder, now); done || err != nil || *asked != 0 {
		t.Fatal(done, err, *asked)
	}
}

func TestTheFarmsOwnHostCertificateIsLeftToItsRoles(t *testing.T) {
	now := time.Now()
	folder, _ := member(t, newAuthority(t), now.Add(-9*time.Hour), now.Add(time.Hour))
	path := filepath.Join(folder, "ssh_host_ed25519_key-cert.pub")
	if err := os.WriteFile(path, []byte("the farm's"), 0o600); err != nil {
		t.Fatal(err)
	}
	if done, err := renew(folder, folder, now); !done || err != nil {
		t.Fatal(done, err)
	}
	if content, _ := os.ReadFile(path); string(content) != "the farm's" {
		t.Fatalf("it is %q now", content)
	}
}

func TestAServerThatDoesNotGreetIsNotAnSSHServer(t *testing.T) {
	for greeting, want := range map[string]bool{"SSH-2.0-test\r\n": true, "HTTP/1.1 400\r\n": false} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			link, err := listener.Accept()
			if err == nil {
				link.Write([]byte(greeting))
				link.Close()
			}
		}()
		if got := sshGreets(listener.Addr().String()); got != want {
			t.Errorf("%q: %v", greeting, got)
		}
		listener.Close()
	}
	if sshGreets("127.0.0.1:1") {
		t.Error("nobody greets there")
	}
}
