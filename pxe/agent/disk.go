package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Linux ioctl that golang.org/x/sys does not name (linux/fs.h).
const blkZeroOut = 0x127f

// chooseDisk takes the smallest disk that holds the image: systems go on small disks, models on large ones.
func chooseDisk(disks []Disk, image Image) (Disk, error) {
	fit := []Disk{}
	for _, one := range disks {
		if one.Bytes >= image.DiskBytes && one.sectorBytes == sector {
			fit = append(fit, one)
		}
	}
	if len(fit) > 0 {
		sort.Slice(fit, func(a, b int) bool {
			if fit[a].Bytes != fit[b].Bytes {
				return fit[a].Bytes < fit[b].Bytes
			}
			return fit[a].Name < fit[b].Name
		})
		return fit[0], nil
	}
	if len(disks) == 0 {
		return Disk{}, failf(noDisk, "this machine has no disk that can be written to")
	}
	found := []string{}
	for _, one := range disks {
		found = append(found, fmt.Sprintf("%s with %d MiB in sectors of %d bytes", one.Name, one.Bytes/mebibyte, one.sectorBytes))
	}
	return Disk{}, failf(diskTooSmall, "the image needs %d MiB in sectors of %d bytes; there are: %s",
		image.DiskBytes/mebibyte, sector, strings.Join(found, ", "))
}

// Target is a disk that is written to: a block device, or a file in tests.
type Target struct {
	*os.File
	device bool
}

func openTarget(path string) (*Target, error) {
	// Exclusively: a disk that is in use by this very system is not a disk to write to.
	file, err := os.OpenFile(path, os.O_RDWR|syscall.O_EXCL, 0)
	if err != nil {
		return nil, failf(diskFailed, "%v", err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, failf(diskFailed, "%v", err)
	}
	return &Target{file, info.Mode()&os.ModeDevice != 0}, nil
}

// zero makes a range zeros: by the disk itself where it knows how, else by writing them.
func (t *Target) zero(from, bytes int64) error {
	if bytes <= 0 {
		return nil
	}
	if t.device {
		span := [2]uint64{uint64(from), uint64(bytes)}
		if _, _, no := unix.Syscall(unix.SYS_IOCTL, t.Fd(), blkZeroOut, uintptr(unsafe.Pointer(&span))); no == 0 {
			return nil
		}
	}
	nothing := make([]byte, mebibyte)
	for bytes > 0 {
		piece := min(bytes, int64(len(nothing)))
		if _, err := t.WriteAt(nothing[:piece], from); err != nil {
			return failf(diskFailed, "%v", err)
		}
		from, bytes = from+piece, bytes-piece
	}
	return nil
}

// forget makes the next read come from the disk and not from this system's memory of it.
func (t *Target) forget() error {
	if !t.device {
		return nil
	}
	if err := unix.IoctlSetInt(int(t.Fd()), unix.BLKFLSBUF, 0); err != nil {
		return failf(diskFailed, "%v", err)
	}
	return nil
}

// rereadPartitions tells the kernel of a new table.
func (t *Target) rereadPartitions() error {
	if !t.device {
		return nil
	}
	if err := unix.IoctlSetInt(int(t.Fd()), unix.BLKRRPART, 0); err != nil {
		return failf(diskFailed, "the kernel does not take the new partition table: %v", err)
	}
	return nil
}

// disksIn lists the disks below a /sys, by name: no partitions, no optical drives, nothing that is removable,
// read-only or empty.
func disksIn(sys string) []Disk {
	names, _ := filepath.Glob(filepath.Join(sys, "block", "*"))
	found := []Disk{}
	for _, folder := range names {
		// A device below it is real hardware; loop, ram and zram have none.
		if _, err := os.Stat(filepath.Join(folder, "device")); errors.Is(err, os.ErrNotExist) {
			continue
		}
		sectors := number(filepath.Join(folder, "size"))
		if sectors == 0 || number(filepath.Join(folder, "ro")) != 0 || number(filepath.Join(folder, "removable")) != 0 {
			continue
		}
		// One path of several to an NVMe disk: it has no file in /dev, and the disk itself is listed beside it.
		// A card in a slot is not called removable, and is.
		if number(filepath.Join(folder, "hidden")) != 0 || firstLine(filepath.Join(folder, "device", "type")) == "SD" {
			continue
		}
		serial := firstLine(filepath.Join(folder, "device", "serial"))
		if serial == "" {
			serial = firstLine(filepath.Join(folder, "serial"))
		}
		if page, err := os.ReadFile(filepath.Join(folder, "device", "vpd_pg80")); serial == "" && err == nil && len(page) > 4 {
			// SATA and SAS disks: four bytes of head, then letters (SPC-4, unit serial number page).
			serial = short(strings.Trim(string(page[4:]), " \t\n\x00"))
		}
		found = append(found, Disk{
			Name: filepath.Base(folder), Bytes: sectors * sector, Model: firstLine(filepath.Join(folder, "device", "model")),
			Serial: serial, Rotational: number(filepath.Join(folder, "queue", "rotational")) == 1,
			sectorBytes: number(filepath.Join(folder, "queue", "logical_block_size")),
		})
	}
	return found
}

func firstLine(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(content), "\n")
	return strings.TrimSpace(line)
}

// number is what a file of /sys says, or 0.
func number(path string) int64 {
	value, err := strconv.ParseInt(firstLine(path), 10, 64)
	if err != nil {
		return 0
	}
	return value
}
