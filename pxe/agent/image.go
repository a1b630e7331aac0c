package main

import (
	"encoding/json"
	"strings"
)

const (
	indexSuffix = ".image.json"
	sector      = 512
	mebibyte    = 1 << 20
)

// Image is a whole disk in pieces, made by pxe/image/chunks.py. What no piece covers is zeros.
type Image struct {
	Version    string  `json:"version"`
	Data       string  `json:"data"` // the artefact that holds the pieces
	DiskBytes  int64   `json:"disk_bytes"`
	ChunkBytes int64   `json:"chunk_bytes"`
	RootLabel  string  `json:"root_label"` // the partition that grows
	Chunks     []Chunk `json:"chunks"`     // ascending by offset, each compressed by itself (zstd)
}

// Chunk is one piece: where it goes, where it is in the artefact, and its hash there.
type Chunk struct {
	Offset int64  `json:"offset"`
	At     int64  `json:"at"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// readImage checks what writing relies on: signed or not, an index that does not add up is not followed.
func readImage(content []byte) (Image, error) {
	var image Image
	if err := json.Unmarshal(content, &image); err != nil {
		return image, failf(badChunk, "the index of the image cannot be read: %v", err)
	}
	bad := func(why string) (Image, error) { return image, failf(badChunk, "the index of the image: %s", why) }
	if image.ChunkBytes <= 0 || image.ChunkBytes > 64*mebibyte || image.ChunkBytes%sector != 0 {
		return bad("its pieces have a size that cannot be")
	}
	if image.DiskBytes <= 0 || image.DiskBytes%mebibyte != 0 || len(image.Chunks) == 0 {
		return bad("it describes no disk")
	}
	if image.Data == "" || strings.Contains(image.Data, "/") {
		return bad("it names no file")
	}
	end, at := int64(0), int64(0)
	for _, one := range image.Chunks {
		if one.Offset < end || one.Offset%image.ChunkBytes != 0 || one.Offset >= image.DiskBytes {
			return bad("a piece lies outside of the disk, or over another one")
		}
		if one.At != at || one.Bytes <= 0 || one.Bytes > 2*image.ChunkBytes {
			return bad("a piece is not where it should be in the file")
		}
		end, at = one.Offset+image.ChunkBytes, at+one.Bytes
	}
	if image.Chunks[0].Offset != 0 {
		return bad("it has no partition table")
	}
	return image, nil
}
