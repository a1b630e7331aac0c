package main

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"hash/crc32"
	"unicode/utf16"
)

// A GUID partition table (UEFI specification 2.10, chapter 5.3), as far as growing one partition needs it.
type partitionTable struct {
	header  []byte // one sector
	entries []byte
}

const (
	entrySize      = 128
	entryCount     = 128
	entriesSectors = entryCount * entrySize / sector
	firstLBA       = 32
	lastLBA        = 40
)

// Partition is one entry of the table, in sectors; Last is the last one that belongs to it.
type Partition struct {
	Number      int
	Label       string
	First, Last uint64
}

func readTable(disk *Target) (*partitionTable, error) {
	table := &partitionTable{make([]byte, sector), make([]byte, entryCount*entrySize)}
	if _, err := disk.ReadAt(table.header, sector); err != nil {
		return nil, failf(diskFailed, "%v", err)
	}
	header := table.header
	if string(header[:8]) != "EFI PART" || binary.LittleEndian.Uint32(header[80:]) != entryCount ||
		binary.LittleEndian.Uint32(header[84:]) != entrySize {
		return nil, failf(halfWritten, "the disk has no partition table of ours")
	}
	if _, err := disk.ReadAt(table.entries, int64(binary.LittleEndian.Uint64(header[72:]))*sector); err != nil {
		return nil, failf(diskFailed, "%v", err)
	}
	if crc32.ChecksumIEEE(table.entries) != binary.LittleEndian.Uint32(header[88:]) {
		return nil, failf(halfWritten, "the partition table of the disk is damaged")
	}
	return table, nil
}

func (t *partitionTable) partition(label string) (Partition, bool) {
	for at := range entryCount {
		entry := t.entries[at*entrySize : (at+1)*entrySize]
		letters := make([]uint16, 36)
		for i := range letters {
			letters[i] = binary.LittleEndian.Uint16(entry[56+2*i:])
		}
		name := string(bytes.TrimRight([]byte(string(utf16.Decode(letters))), "\x00"))
		if name == label && !bytes.Equal(entry[:16], make([]byte, 16)) {
			return Partition{at + 1, name, binary.LittleEndian.Uint64(entry[firstLBA:]), binary.LittleEndian.Uint64(entry[lastLBA:])}, true
		}
	}
	return Partition{}, false
}

// grown is how large the root partition becomes: half of what the disk has for roots, so that a second slot of the
// same size fits behind it; all of it where half is less than the image has.
func grown(root Partition, diskBytes int64) Partition {
	end := uint64(diskBytes/sector) - entriesSectors - 2
	half := root.First + (end-root.First)/2
	if half <= root.Last {
		half = end
	}
	// Whole mebibytes, for the sake of disks with large sectors inside.
	const align = mebibyte / sector
	root.Last = max(half/align*align-1, root.Last)
	return root
}

// grow gives one partition its new end, and the table this disk's size and identities of its own: no two machines
// share the identity of a disk.
func (t *partitionTable) grow(disk *Target, diskBytes int64, root Partition) error {
	binary.LittleEndian.PutUint64(t.entries[(root.Number-1)*entrySize+lastLBA:], root.Last)
	for at := range entryCount {
		entry := t.entries[at*entrySize : (at+1)*entrySize]
		if !bytes.Equal(entry[:16], make([]byte, 16)) {
			newGUID(entry[16:32])
		}
	}
	sectors := uint64(diskBytes / sector)
	newGUID(t.header[56:72])
	binary.LittleEndian.PutUint64(t.header[48:], sectors-entriesSectors-2) // the last sector that may be used
	binary.LittleEndian.PutUint32(t.header[88:], crc32.ChecksumIEEE(t.entries))
	// The spare table at the end goes first: a moment's loss of power leaves one of the two whole.
	if _, err := disk.WriteAt(t.entries, int64(sectors-entriesSectors-1)*sector); err != nil {
		return failf(diskFailed, "%v", err)
	}
	if _, err := disk.WriteAt(t.sealed(sectors-1, 1, sectors-entriesSectors-1), int64(sectors-1)*sector); err != nil {
		return failf(diskFailed, "%v", err)
	}
	if _, err := disk.WriteAt(t.entries, 2*sector); err != nil {
		return failf(diskFailed, "%v", err)
	}
	if _, err := disk.WriteAt(t.sealed(1, sectors-1, 2), sector); err != nil {
		return failf(diskFailed, "%v", err)
	}
	// The protective MBR tells old programs that all of the disk is taken.
	size := make([]byte, 4)
	binary.LittleEndian.PutUint32(size, uint32(min(sectors-1, 0xffffffff)))
	if _, err := disk.WriteAt(size, 446+12); err != nil {
		return failf(diskFailed, "%v", err)
	}
	if err := disk.Sync(); err != nil {
		return failf(diskFailed, "%v", err)
	}
	return nil
}

// sealed is the header for one of the two places, with its checksum.
func (t *partitionTable) sealed(own, other, entries uint64) []byte {
	header := bytes.Clone(t.header)
	binary.LittleEndian.PutUint64(header[24:], own)
	binary.LittleEndian.PutUint64(header[32:], other)
	binary.LittleEndian.PutUint64(header[72:], entries)
	size := binary.LittleEndian.Uint32(header[12:])
	if size > sector {
		size = 92
	}
	binary.LittleEndian.PutUint32(header[16:], 0)
	binary.LittleEndian.PutUint32(header[16:], crc32.ChecksumIEEE(header[:size]))
	return header
}

// newGUID is a random one (RFC 9562, version 4) in the byte order of partition tables.
func newGUID(into []byte) {
	rand.Read(into[:16])
	into[7] = into[7]&0x0f | 0x40
	into[8] = into[8]&0x3f | 0x80
}
