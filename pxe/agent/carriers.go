package main

import (
	"os"
	"path/filepath"
	"strings"
)

// carriers are the disks with a partition of this label. Linux mounts its root by that label, so that two disks with
// it may boot either system. What cannot be read, or has another table, has no partition that Linux would take.
func carriers(folder string, disks []Disk, label string) []Disk {
	found := []Disk{}
	for _, disk := range disks {
		file, err := os.Open(filepath.Join(folder, disk.Name))
		if err != nil {
			continue
		}
		table, err := readTable(&Target{file, true})
		file.Close()
		if err != nil {
			continue
		}
		if _, has := table.partition(label); has {
			found = append(found, disk)
		}
	}
	return found
}

// mayBeOnly refuses to write a disk while others carry a system of ours.
func mayBeOnly(carrying []Disk, chosen Disk) error {
	others := []string{}
	for _, disk := range carrying {
		if disk.Name != chosen.Name {
			others = append(others, disk.Name+" "+disk.Serial)
		}
	}
	if len(others) == 0 {
		return nil
	}
	return failf(otherSystem, "%s would be written, and there is an older system of ours on: %s", chosen.Name, strings.Join(others, ", "))
}

// onlyCarrier is the disk that was written before.
func onlyCarrier(carrying []Disk, label string) (Disk, error) {
	if len(carrying) == 0 {
		return Disk{}, failf(halfWritten, "no disk has a partition %s", label)
	}
	return carrying[0], mayBeOnly(carrying, carrying[0])
}
