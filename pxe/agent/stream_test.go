package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"testing"
	"time"
)

func silent(int64, int64) {}

func contentOf(t *testing.T, disk *Target) []byte {
	t.Helper()
	content, err := io.ReadAll(io.NewSectionReader(disk, 0, 1<<30))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestADiskWithOldDataHoldsTheImageAndNothingElse(t *testing.T) {
	made, disk := publish(t), diskWith(t, mebibyte)
	if err := writeImage(made.mirror(), made.image, disk, silent); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(contentOf(t, disk), made.disk) {
		t.Fatal("the disk is not the image")
	}
}

func TestASwappedPieceIsNotWrittenAndTheDiskDoesNotBoot(t *testing.T) {
	made, disk := publish(t), diskWith(t, mebibyte)
	evil := made.image.Chunks[2]
	copy(made.data[evil.At:], "somebody else's bytes")
	mustFail(t, writeImage(made.mirror(), made.image, disk, silent), badChunk)
	content := contentOf(t, disk)
	if bytes.Contains(content, []byte("somebody else's")) {
		t.Fatal("a piece that nobody vouches for was written")
	}
	if !bytes.Equal(content[:testChunk], make([]byte, testChunk)) {
		t.Fatal("a half-written disk has a partition table")
	}
}

func TestAPieceWithTheRightHashAndTheWrongSizeIsRefused(t *testing.T) {
	made, disk := publish(t), diskWith(t, mebibyte)
	made.image.ChunkBytes = 2 * testChunk
	mustFail(t, writeImage(made.mirror(), made.image, disk, silent), badChunk)
}

func TestAConnectionThatBreaksOffGoesOnFromTheSamePiece(t *testing.T) {
	made, disk := publish(t), diskWith(t, mebibyte)
	made.cutAt = int(made.image.Chunks[2].At) + 10
	if err := writeImage(made.mirror(), made.image, disk, silent); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(contentOf(t, disk), made.disk) || len(made.asked) != 2 {
		t.Fatalf("asked %v", made.asked)
	}
}

func TestAMirrorThatIsGoneIsTriedAgainThenNamed(t *testing.T) {
	made, disk := publish(t), diskWith(t, mebibyte)
	made.server.Close()
	mustFail(t, writeImage(made.mirror(), made.image, disk, silent), networkLost)
}

func TestAMirrorThatFallsSilentIsLeftAndAskedAgain(t *testing.T) {
	made, disk := publish(t), diskWith(t, mebibyte)
	made.cutAt, made.silent = int(made.image.Chunks[2].At)+10, make(chan struct{})
	defer close(made.silent)
	mirror := made.mirror()
	mirror.quiet = 100 * time.Millisecond
	if err := writeImage(mirror, made.image, disk, silent); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(contentOf(t, disk), made.disk) {
		t.Fatal("the disk is not the image")
	}
}

func TestADiskThatRefusesToBeWrittenIsNamed(t *testing.T) {
	made := publish(t)
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	mustFail(t, writeImage(made.mirror(), made.image, &Target{file, false}, silent), diskFailed)
}

func TestAnUnsignedManifestIsRefused(t *testing.T) {
	made, other := publish(t), publish(t)
	if _, err := made.mirror().manifest(publicOf(made)); err != nil {
		t.Fatal(err)
	}
	_, err := made.mirror().manifest(publicOf(other))
	mustFail(t, err, badSignature)
}

func TestAnIndexThatTheManifestDoesNotNameIsRefused(t *testing.T) {
	made := publish(t)
	manifest, err := made.mirror().manifest(publicOf(made))
	if err != nil {
		t.Fatal(err)
	}
	image, err := made.mirror().image(manifest)
	if err != nil || image.Version != "v1" {
		t.Fatal(image, err)
	}
	made.index = append(made.index, ' ')
	_, err = made.mirror().image(manifest)
	mustFail(t, err, badChunk)
}

func TestWithoutAnImageThereIsNothingToWrite(t *testing.T) {
	_, err := publish(t).mirror().image(Manifest{})
	mustFail(t, err, artefactMissing)
}

func TestAnIndexThatDoesNotAddUpIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(*Image){
		"a piece behind the end": func(i *Image) { i.Chunks[3].Offset = i.DiskBytes },
		"pieces that overlap":    func(i *Image) { i.Chunks[2].Offset = i.Chunks[1].Offset },
		"a gap in the file":      func(i *Image) { i.Chunks[1].At++ },
		"another folder's file":  func(i *Image) { i.Data = "../secret" },
		"no partition table":     func(i *Image) { i.Chunks = i.Chunks[1:]; i.Chunks[0].At = 0 },
		"no pieces":              func(i *Image) { i.Chunks = nil },
		"pieces of no size":      func(i *Image) { i.ChunkBytes = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			made := publish(t)
			spoil(&made.image)
			content, _ := jsonOf(made.image)
			_, err := readImage(content)
			mustFail(t, err, badChunk)
		})
	}
}

func TestWipingLeavesZerosAndSaysWhatItLookedAt(t *testing.T) {
	disk := diskWith(t, mebibyte)
	done, err := wipeDisk(disk, Disk{Name: "sda", Bytes: mebibyte})
	if err != nil || done.Dirty != 0 || done.Samples != samplesPerDisk {
		t.Fatal(done, err)
	}
	digest, zeros := sha256.Sum256(contentOf(t, disk)), sha256.Sum256(make([]byte, mebibyte))
	if hex.EncodeToString(digest[:]) != hex.EncodeToString(zeros[:]) {
		t.Fatal("something is left")
	}
}
