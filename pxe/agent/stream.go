package main

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"time"

	"github.com/klauspost/compress/zstd"
)

const (
	triesPerChunk = 4
	// Four tries take as long as a switch or a server needs to start anew.
	betweenTries = 15 * time.Second
)

type piece struct {
	chunk   Chunk
	content []byte
}

// writeImage streams an image to a disk. A piece is hashed before it is unpacked, and unpacked before it is written:
// nothing that the manifest does not vouch for reaches the disk. The first piece holds the partition table and comes
// last, so a disk that was left half written is no disk that boots. `progress` gets bytes done and bytes in all.
func writeImage(mirror Mirror, image Image, disk *Target, progress func(done, all int64)) error {
	last := image.Chunks[len(image.Chunks)-1]
	all := last.At + last.Bytes
	// Zeroed first: an old table would stay until the first piece is written, and that one comes last.
	if err := disk.zero(0, image.ChunkBytes); err != nil {
		return err
	}
	fetched := make(chan piece, 4)
	failed := make(chan error, 1)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		defer close(fetched)
		if err := fetchChunks(mirror, image, fetched, stop, 0); err != nil {
			failed <- err
		}
	}()
	unpack, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256*mebibyte))
	if err != nil {
		return err
	}
	defer unpack.Close()
	var first []byte
	end := int64(0)
	buffer := make([]byte, 0, image.ChunkBytes)
	for one := range fetched {
		size := min(image.ChunkBytes, image.DiskBytes-one.chunk.Offset)
		content, err := unpack.DecodeAll(one.content, buffer[:0])
		if err != nil || int64(len(content)) != size {
			return failf(badChunk, "the piece for byte %d of the disk does not unpack", one.chunk.Offset)
		}
		if err := disk.zero(end, one.chunk.Offset-end); err != nil {
			return err
		}
		end = one.chunk.Offset + size
		if one.chunk.Offset == 0 {
			first = append([]byte(nil), content...)
		} else if _, err := disk.WriteAt(content, one.chunk.Offset); err != nil {
			return failf(diskFailed, "%v", err)
		}
		progress(one.chunk.At+one.chunk.Bytes, all)
	}
	select {
	case err := <-failed:
		return err
	default:
	}
	if err := disk.zero(end, image.DiskBytes-end); err != nil {
		return err
	}
	if err := disk.Sync(); err != nil {
		return failf(diskFailed, "%v", err)
	}
	if _, err := disk.WriteAt(first, 0); err != nil {
		return failf(diskFailed, "%v", err)
	}
	if err := disk.Sync(); err != nil {
		return failf(diskFailed, "%v", err)
	}
	return nil
}

// fetchChunks sends the verified pieces in order. What breaks off goes on from the piece it broke off at.
func fetchChunks(mirror Mirror, image Image, to chan<- piece, stop <-chan struct{}, from int) error {
	var trouble error
	for tries := 0; tries < triesPerChunk; tries++ {
		if tries > 0 {
			select {
			case <-time.After(mirror.pause):
			case <-stop:
				return nil
			}
		}
		done, err := fetchRun(mirror, image, to, stop, from)
		if err == nil {
			return nil
		}
		if done > from {
			from, tries = done, 0
		}
		trouble = err
	}
	return trouble
}

// fetchRun is one connection; it returns the number of the first piece that did not come.
func fetchRun(mirror Mirror, image Image, to chan<- piece, stop <-chan struct{}, from int) (int, error) {
	response, err := mirror.get("/boot/artefacts/"+image.Data, image.Chunks[from].At)
	if err != nil {
		return from, err
	}
	defer response.Body.Close()
	for at := from; at < len(image.Chunks); at++ {
		chunk := image.Chunks[at]
		content := make([]byte, chunk.Bytes)
		if _, err := io.ReadFull(response.Body, content); err != nil {
			return at, classifyTransportError(err)
		}
		digest := sha256.Sum256(content)
		if hex.EncodeToString(digest[:]) != chunk.SHA256 {
			return at, failf(badChunk, "piece %d of %s is not what the manifest names; it was not written", at, image.Data)
		}
		select {
		case to <- piece{chunk, content}:
		case <-stop:
			return at, nil
		}
	}
	return len(image.Chunks), nil
}
