package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Manifest names every published file; its signature is the only reason to believe any of it.
type Manifest struct {
	Artefacts []Artefact `json:"artefacts"`
}

// Artefact is one file: its size and its SHA-256.
type Artefact struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Mirror is where artefacts are fetched from, over a connection that nobody needs to trust.
type Mirror struct {
	base  string
	http  *http.Client
	pause time.Duration // before a try that follows one that failed
	quiet time.Duration // how long a server may send nothing before it counts as gone
}

// manifest is the signed one; bad_signature for every other.
func (m Mirror) manifest(key []byte) (Manifest, error) {
	var found Manifest
	content, err := m.small("/boot/manifest.json")
	if err != nil {
		return found, err
	}
	text, err := m.small("/boot/manifest.json.sig")
	if err != nil {
		return found, err
	}
	signature, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, content, signature) {
		return found, failf(badSignature, "the manifest is not signed with the key that this agent carries")
	}
	if err := json.Unmarshal(content, &found); err != nil {
		return found, failf(badSignature, "the manifest cannot be read: %v", err)
	}
	return found, nil
}

// image is the newest image that the manifest names, by version.
func (m Mirror) image(manifest Manifest) (Image, error) {
	var newest *Artefact
	for at := range manifest.Artefacts {
		one := &manifest.Artefacts[at]
		if strings.HasSuffix(one.Name, indexSuffix) && (newest == nil || one.Name > newest.Name) {
			newest = one
		}
	}
	if newest == nil {
		return Image{}, failf(artefactMissing, "no image is published")
	}
	content, err := m.small("/boot/artefacts/" + newest.Name)
	if err != nil {
		return Image{}, err
	}
	digest := sha256.Sum256(content)
	if hex.EncodeToString(digest[:]) != newest.SHA256 {
		return Image{}, failf(badChunk, "%s is not what the manifest names", newest.Name)
	}
	image, err := readImage(content)
	if err != nil {
		return Image{}, err
	}
	for _, one := range manifest.Artefacts {
		if one.Name == image.Data {
			return image, nil
		}
	}
	return Image{}, failf(artefactMissing, "%s names %s, which is not published", newest.Name, image.Data)
}

func (m Mirror) small(path string) ([]byte, error) {
	response, err := m.get(path, 0)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err != nil {
		return nil, classifyTransportError(err)
	}
	return content, nil
}

// get opens a file from an offset on.
func (m Mirror) get(path string, from int64) (*http.Response, error) {
	body := watch(m.quiet)
	request, err := http.NewRequestWithContext(body.context, http.MethodGet, m.base+path, nil)
	if err != nil {
		return nil, err
	}
	good := http.StatusOK
	if from > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
		good = http.StatusPartialContent
	}
	response, err := m.http.Do(request)
	body.alarm.Stop()
	if err != nil {
		return nil, classifyTransportError(err)
	}
	body.ReadCloser, response.Body = response.Body, body
	if response.StatusCode == good {
		return response, nil
	}
	response.Body.Close()
	if response.StatusCode == http.StatusNotFound {
		return nil, failf(artefactMissing, "%s is not published", path)
	}
	return nil, failf(networkLost, "%s answers %s", m.base+path, response.Status)
}
