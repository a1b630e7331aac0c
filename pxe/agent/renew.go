package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// renew asks for a member's next certificates once its own are in the last third of their life: for a new key, by a
// signature of the old one. The request is kept until the answer is on the disk, so that a lost one can be asked for
// again. It returns false while it is too early.
func renew(folder, ssh string, now time.Time) (bool, error) {
	held, err := readCertificate(filepath.Join(folder, "machine.pem"))
	if err != nil {
		return false, err
	}
	nextFile := filepath.Join(folder, "machine-key.next.pem")
	// Cut off after the certificate and before its key: that is made good first.
	if next, err := readKey(nextFile); err == nil && next.PublicKey.Equal(held.PublicKey) {
		return true, os.Rename(nextFile, filepath.Join(folder, "machine-key.pem"))
	}
	if third := held.NotAfter.Sub(held.NotBefore) / 3; now.Before(held.NotAfter.Add(-third)) {
		return false, nil
	}
	key, err := readKey(filepath.Join(folder, "machine-key.pem"))
	if err != nil {
		return false, err
	}
	next, err := readKey(nextFile)
	if errors.Is(err, os.ErrNotExist) {
		next, err = makeKeyFile(nextFile)
	}
	if err != nil {
		return false, err
	}
	home, machineID, err := readMember(folder)
	if err != nil {
		return false, err
	}
	trust, err := readTrust(folder)
	if err != nil {
		return false, err
	}
	client := trust.client(time.Minute)
	var asked struct {
		Challenge string `json:"challenge"`
	}
	question := map[string]string{"machine_id": machineID}
	if err := postJSON(client, home.API+"/api/agent/challenge", "", question, &asked, nil); err != nil {
		return false, err
	}
	wish := &x509.CertificateRequest{Subject: pkix.Name{CommonName: home.Name}}
	der, err := x509.CreateCertificateRequest(rand.Reader, wish, next)
	if err != nil {
		return false, err
	}
	csr := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	hashed := sha256.Sum256(signedText("renew", machineID, asked.Challenge, csr))
	signature, err := key.Sign(rand.Reader, hashed[:], crypto.SHA256)
	if err != nil {
		return false, err
	}
	call := map[string]string{
		"machine_id": machineID, "challenge": asked.Challenge, "serial": held.SerialNumber.String(), "csr": csr,
		"signature": base64.StdEncoding.EncodeToString(signature),
	}
	var renewed struct {
		HostCertificate string `json:"host_certificate"`
		Certificate     string `json:"certificate"`
		CA              string `json:"ca"`
	}
	if err := postJSON(client, home.API+"/api/agent/renew", "", call, &renewed, nil); err != nil {
		return false, err
	}
	// The roles may have put a certificate of the farm's authority in its place: that one is theirs to renew.
	inUse, own := filepath.Join(ssh, "ssh_host_ed25519_key-cert.pub"), filepath.Join(folder, "host-certificate.pub")
	if sameContent(inUse, own) {
		if err := replaceFile(inUse, renewed.HostCertificate, 0o644); err != nil {
			return false, err
		}
	}
	for path, content := range map[string]string{
		own: renewed.HostCertificate, filepath.Join(folder, "ca.pem"): renewed.CA,
	} {
		if err := replaceFile(path, content, 0o644); err != nil {
			return false, err
		}
	}
	if err := replaceFile(filepath.Join(folder, "machine.pem"), renewed.Certificate, 0o644); err != nil {
		return false, err
	}
	// Last: until here the old key and its certificate can ask again and get the same answer.
	return true, os.Rename(nextFile, filepath.Join(folder, "machine-key.pem"))
}

func readMember(folder string) (CallHome, string, error) {
	var home CallHome
	var engines struct {
		MachineID string `json:"machine_id"`
	}
	for name, into := range map[string]any{"call-home.json": &home, "engines.json": &engines} {
		content, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return home, "", err
		}
		if err := json.Unmarshal(content, into); err != nil {
			return home, "", fmt.Errorf("%s: %w", name, err)
		}
	}
	return home, engines.MachineID, nil
}

func readCertificate(path string) (*x509.Certificate, error) {
	block, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(block)
}

func readKey(path string) (*ecdsa.PrivateKey, error) {
	block, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(block)
	if err != nil {
		return nil, err
	}
	ours, good := key.(*ecdsa.PrivateKey)
	if !good {
		return nil, fmt.Errorf("%s holds another kind of key", path)
	}
	return ours, nil
}

func makeKeyFile(path string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, replaceFile(path, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), 0o600)
}

func readPEM(path string) ([]byte, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM", path)
	}
	return block.Bytes, nil
}

func sameContent(one, other string) bool {
	first, err := os.ReadFile(one)
	if err != nil {
		return false
	}
	second, err := os.ReadFile(other)
	return err == nil && bytes.Equal(first, second)
}

// replaceFile writes whole or not at all.
func replaceFile(path, content string, mode os.FileMode) error {
	file, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = file.WriteString(strings.TrimRight(content, "\n") + "\n")
	if err == nil {
		err = file.Sync()
	}
	if closing := file.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
