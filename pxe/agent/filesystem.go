package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const extResize = 0x40086610 // EXT4_IOC_RESIZE_FS, linux/fs/ext4/ext4.h

// mountRoot mounts the root partition of a disk that has just got its table.
func mountRoot(disk Disk, root Partition, at string) error {
	device := partitionDevice(disk.Name, root.Number)
	if err := os.MkdirAll(at, 0o755); err != nil {
		return err
	}
	for until := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := unix.Mount(device, at, "ext4", unix.MS_NOATIME, "")
		if err == nil {
			return nil
		}
		// Its device file comes a moment after the table.
		if !errors.Is(err, unix.ENOENT) || time.Now().After(until) {
			return failf(diskFailed, "%s cannot be mounted: %v", device, err)
		}
	}
}

// growRoot grows the mounted file system to its partition.
func growRoot(at string, root Partition) error {
	folder, err := os.Open(at)
	if err != nil {
		return err
	}
	defer folder.Close()
	var state unix.Statfs_t
	if err := unix.Statfs(at, &state); err != nil {
		return failf(diskFailed, "%v", err)
	}
	blocks := (root.Last - root.First + 1) * sector / uint64(state.Bsize)
	if _, _, no := unix.Syscall(unix.SYS_IOCTL, folder.Fd(), extResize, uintptr(unsafe.Pointer(&blocks))); no != 0 {
		return failf(diskFailed, "the file system cannot be grown: %v", no)
	}
	return nil
}

func unmount(at string) error {
	unix.Sync()
	if err := unix.Unmount(at, 0); err != nil {
		return failf(diskFailed, "what was written is not on the disk: %v", err)
	}
	return nil
}

// partitionDevice follows Linux's habit: sda3, but nvme0n1p3.
func partitionDevice(disk string, number int) string {
	if disk != "" && strings.ContainsAny(disk[len(disk)-1:], "0123456789") {
		disk += "p"
	}
	return filepath.Join("/dev", fmt.Sprintf("%s%d", disk, number))
}
