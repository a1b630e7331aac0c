package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
)

// Keys are made on the machine and stay there; only the public halves are sent.
type Keys struct {
	SSHPrivate []byte // openssh-key-v1, in PEM
	SSHPublic  string // one line of ssh_host_ed25519_key.pub
	TLSPrivate []byte // PKCS #8, in PEM
	CSR        string // PKCS #10, in PEM
}

func makeKeys(comment string) (Keys, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Keys{}, err
	}
	made := Keys{SSHPrivate: sshPrivate(public, private, comment)}
	made.SSHPublic = "ssh-ed25519 " + base64.StdEncoding.EncodeToString(sshPublic(public)) + " " + comment
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Keys{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Keys{}, err
	}
	made.TLSPrivate = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	wish := &x509.CertificateRequest{Subject: pkix.Name{CommonName: comment}}
	csr, err := x509.CreateCertificateRequest(rand.Reader, wish, key)
	if err != nil {
		return Keys{}, err
	}
	made.CSR = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr}))
	return made, nil
}

// sshPublic and sshPrivate write the forms of RFC 4253, section 6.6, and of OpenSSH's PROTOCOL.key.
func sshPublic(key ed25519.PublicKey) []byte {
	return append(sshString([]byte("ssh-ed25519")), sshString(key)...)
}

func sshPrivate(public ed25519.PublicKey, private ed25519.PrivateKey, comment string) []byte {
	check := make([]byte, 4)
	rand.Read(check)
	secret := append(append([]byte{}, check...), check...)
	secret = append(secret, sshPublic(public)...)
	secret = append(secret, sshString(private)...)
	secret = append(secret, sshString([]byte(comment))...)
	for pad := byte(1); len(secret)%8 != 0; pad++ {
		secret = append(secret, pad)
	}
	content := append([]byte("openssh-key-v1\x00"), sshString([]byte("none"))...)
	content = append(content, sshString([]byte("none"))...)
	content = append(content, sshString(nil)...)
	content = append(content, 0, 0, 0, 1)
	content = append(content, sshString(sshPublic(public))...)
	content = append(content, sshString(secret)...)
	return pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: content})
}

func sshString(content []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(content))), content...)
}
