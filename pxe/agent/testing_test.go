package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// mustFail says whether an error is a Failure of the wanted code.
func mustFail(t *testing.T, err error, code string) {
	t.Helper()
	var failure *Failure
	if !errors.As(err, &failure) || failure.Code != code {
		t.Fatalf("wanted %s, got %v", code, err)
	}
}

// authority signs certificates for tests.
type authority struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	wish := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, wish, wish, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{key, made}
}

func (a authority) trust() Trust {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return Trust{Authorities: pool}
}

func (a authority) leaf(t *testing.T, from, to time.Time) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	return a.leafOf(t, apiName, from, to)
}

func (a authority) leafOf(t *testing.T, name string, from, to time.Time) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	wish := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: to,
		DNSNames: []string{"server.example"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, wish, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made, key
}

// serving is a server that shows a certificate of this authority, for 127.0.0.1.
func (a authority) serving(t *testing.T, address string, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.Listener.Close()
	server.Listener = listener
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	leaf, key := a.leaf(t, time.Now().Add(-time.Minute), time.Now().Add(time.Hour))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}}}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// published is a mirror with one image of a few pieces; tests change what it serves.
type published struct {
	server *httptest.Server
	key    ed25519.PrivateKey
	image  Image
	disk   []byte // what a disk must hold afterwards
	data   []byte
	index  []byte
	cutAt  int           // the first answer with data breaks off here; 0: it does not
	silent chan struct{} // it does not break off but stay open until this is closed
	asked  []string
}

const testChunk = 4096

func publish(t *testing.T) *published {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	made := &published{key: key, disk: make([]byte, mebibyte)}
	made.image = Image{Version: "v1", Data: "v1.image", DiskBytes: mebibyte, ChunkBytes: testChunk, RootLabel: "root-a"}
	pack, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, number := range []int64{0, 1, 5, 200} {
		place := made.disk[number*testChunk : (number+1)*testChunk]
		rand.Read(place)
		packed := pack.EncodeAll(place, nil)
		digest := sha256.Sum256(packed)
		made.image.Chunks = append(made.image.Chunks, Chunk{
			number * testChunk, int64(len(made.data)), int64(len(packed)), hex.EncodeToString(digest[:]),
		})
		made.data = append(made.data, packed...)
	}
	made.index, err = json.Marshal(made.image)
	if err != nil {
		t.Fatal(err)
	}
	made.server = httptest.NewServer(http.HandlerFunc(made.serve))
	t.Cleanup(made.server.Close)
	return made
}

func (p *published) mirror() Mirror {
	return Mirror{p.server.URL, p.server.Client(), time.Millisecond, time.Minute}
}

func (p *published) manifest() []byte {
	digest := sha256.Sum256(p.index)
	content, _ := json.Marshal(Manifest{[]Artefact{
		{"v1.image", int64(len(p.data)), strings.Repeat("0", 64)},
		{"v1.image.json", int64(len(p.index)), hex.EncodeToString(digest[:])},
	}})
	return content
}

func (p *published) serve(answer http.ResponseWriter, request *http.Request) {
	p.asked = append(p.asked, request.URL.Path+" "+request.Header.Get("Range"))
	send := func(content []byte) {
		http.ServeContent(answer, request, "", time.Time{}, bytes.NewReader(content))
	}
	switch request.URL.Path {
	case "/boot/manifest.json":
		send(p.manifest())
	case "/boot/manifest.json.sig":
		send([]byte(hex.EncodeToString(ed25519.Sign(p.key, p.manifest())) + "\n"))
	case "/boot/artefacts/v1.image.json":
		send(p.index)
	case "/boot/artefacts/v1.image":
		if cut := p.cutAt; cut > 0 {
			p.cutAt = 0
			answer.Header().Set("Content-Length", "1000000")
			answer.Write(p.data[:cut])
			if p.silent != nil {
				answer.(http.Flusher).Flush()
				<-p.silent
			}
			return
		}
		send(p.data)
	default:
		http.NotFound(answer, request)
	}
}

// diskWith is a file in the place of a disk, full of old data.
func diskWith(t *testing.T, bytes int) *Target {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(path, []byte(strings.Repeat("old data", bytes/8)), 0o600); err != nil {
		t.Fatal(err)
	}
	target, err := openTarget(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close() })
	return target
}
