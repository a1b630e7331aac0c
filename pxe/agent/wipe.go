package main

import (
	"bytes"
	"crypto/rand"
	"math/big"
)

// WipedDisk is a disk that was made zeros, and what random places of it held afterwards.
type WipedDisk struct {
	Name    string `json:"name"`
	Model   string `json:"model"`
	Serial  string `json:"serial"`
	Bytes   int64  `json:"bytes"`
	Method  string `json:"method"`
	Samples int    `json:"samples"`
	Dirty   int    `json:"dirty"`
}

const (
	samplesPerDisk = 256
	sampleBytes    = 4096
)

// wipe makes every disk zeros, because the API has said that this machine retires.
func (r *Ramdisk) wipe() error {
	wiped := []WipedDisk{}
	for _, disk := range r.hardware.Disks {
		r.console.Say("wiping %s", disk.Name)
		target, err := openTarget("/dev/" + disk.Name)
		if err != nil {
			return err
		}
		one, err := wipeDisk(target, disk)
		target.Close()
		if err != nil {
			return err
		}
		wiped = append(wiped, one)
	}
	if len(wiped) == 0 {
		return failf(noDisk, "this machine has no disk to wipe")
	}
	if err := r.tell(Report{Wiped: wiped}); err != nil {
		return err
	}
	if err := r.keys.forget(); err != nil {
		r.console.Say("the key in the firmware cannot be removed: %v", err)
	}
	r.console.Say("wiped; switching off")
	powerOff()
	forever()
	return nil
}

func wipeDisk(target *Target, disk Disk) (WipedDisk, error) {
	done := WipedDisk{
		Name: disk.Name, Model: disk.Model, Serial: disk.Serial, Bytes: disk.Bytes, Method: "zeros", Samples: samplesPerDisk,
	}
	if err := target.zero(0, disk.Bytes); err != nil {
		return done, err
	}
	if err := target.Sync(); err != nil {
		return done, failf(diskFailed, "%v", err)
	}
	if err := target.forget(); err != nil {
		return done, err
	}
	place, nothing := make([]byte, sampleBytes), make([]byte, sampleBytes)
	for range samplesPerDisk {
		at, err := rand.Int(rand.Reader, big.NewInt(max(disk.Bytes/sampleBytes, 1)))
		if err != nil {
			return done, err
		}
		if _, err := target.ReadAt(place, at.Int64()*sampleBytes); err != nil {
			return done, failf(diskFailed, "%v", err)
		}
		if !bytes.Equal(place, nothing) {
			done.Dirty++
		}
	}
	return done, nil
}
