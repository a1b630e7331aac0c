package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	connectPatience = 30 * time.Second
	// Whom the API's own certificate names (provisioning_api/certificates/tls_authority.py). No machine may be called so.
	apiName = "soundstage"
)

// Trust is what was put into the ramdisk when it was built: whom this agent believes, and nobody else.
type Trust struct {
	Authorities *x509.CertPool
	ManifestKey []byte    // Ed25519, signs the manifest of artefacts
	BuiltAt     time.Time // no clock is earlier than this
}

func readTrust(folder string) (Trust, error) {
	pem, err := os.ReadFile(filepath.Join(folder, "ca.pem"))
	if err != nil {
		return Trust{}, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return Trust{}, errors.New("ca.pem holds no certificate")
	}
	trust := Trust{Authorities: pool}
	// Both are missing on an installed machine, which only calls home.
	if text, err := os.ReadFile(filepath.Join(folder, "manifest.pub")); err == nil {
		if trust.ManifestKey, err = hex.DecodeString(strings.TrimSpace(string(text))); err != nil {
			return Trust{}, fmt.Errorf("manifest.pub: %w", err)
		}
	}
	if text, err := os.ReadFile(filepath.Join(folder, "built-at")); err == nil {
		seconds, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err != nil {
			return Trust{}, fmt.Errorf("built-at: %w", err)
		}
		trust.BuiltAt = time.Unix(seconds, 0)
	}
	return trust, nil
}

// client speaks TLS 1.3 to servers of our authority alone.
func (t Trust) client(timeout time.Duration) *http.Client {
	dialer := &net.Dialer{Timeout: connectPatience}
	transport := &http.Transport{
		DialContext: dialer.DialContext, DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return t.connect(ctx, dialer, network, address)
		},
		ResponseHeaderTimeout: 2 * time.Minute, MaxIdleConnsPerHost: 2, Proxy: nil,
	}
	return &http.Client{Transport: transport, Timeout: timeout}
}

// connect checks the name that was asked for. The one in a connection's state is of no use: for an address, which
// TLS does not tell the server (RFC 6066, section 3), it is empty, and any certificate of our authority would do.
func (t Trust) connect(ctx context.Context, dialer *net.Dialer, network, address string) (net.Conn, error) {
	server, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	link, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	secure := tls.Client(link, &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: server,
		// The usual check asks the clock, which may stand at 1970; ours follows and is no weaker in anything else.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			return t.check(state.PeerCertificates, server, time.Now())
		},
	})
	ctx, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		link.Close()
		return nil, err
	}
	return secure, nil
}

// check verifies chain, name and validity. Where our clock is behind the beginning of a certificate, the clock is
// wrong and not the certificate: our authority signs nothing for the future. An expired one stays expired.
func (t Trust) check(chain []*x509.Certificate, server string, now time.Time) error {
	if len(chain) == 0 {
		return failf(tlsFailed, "the server shows no certificate")
	}
	if server == "" {
		return failf(tlsFailed, "nobody said which server this must be")
	}
	// Members have certificates of the same authority, for addresses that they say themselves.
	if name := chain[0].Subject.CommonName; name != apiName {
		return failf(tlsFailed, "the server is %q and not the provisioning API", name)
	}
	if now.Before(t.BuiltAt) {
		now = t.BuiltAt
	}
	if now.Before(chain[0].NotBefore) {
		now = chain[0].NotBefore
	}
	between := x509.NewCertPool()
	for _, one := range chain[1:] {
		between.AddCert(one)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: t.Authorities, Intermediates: between, DNSName: server, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	return err
}
