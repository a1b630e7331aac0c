package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// Identity is how hardware is known: all its MAC addresses and the UUID of its firmware.
type Identity struct {
	MACs []string `json:"macs"`
	UUID *string  `json:"uuid"`
}

// Hardware is what provisioning_api/machines/hardware.py reads. What cannot be read stays empty.
type Hardware struct {
	Vendor     string   `json:"vendor"`
	Product    string   `json:"product"`
	Serial     string   `json:"serial"`
	Firmware   string   `json:"firmware"`
	BootMode   string   `json:"boot_mode"`
	CPUModel   string   `json:"cpu_model"`
	CPUThreads int      `json:"cpu_threads"`
	CPUFlags   []string `json:"cpu_flags"`
	MemoryMiB  int64    `json:"memory_mib"`
	Disks      []Disk   `json:"disks"`
	NICs       []NIC    `json:"nics"`
	GPUs       []GPU    `json:"gpus"`
}

type Disk struct {
	Name        string `json:"name"`
	Bytes       int64  `json:"bytes"`
	Model       string `json:"model"`
	Serial      string `json:"serial"`
	Rotational  bool   `json:"rotational"`
	sectorBytes int64
}

type NIC struct {
	MAC       string `json:"mac"`
	Name      string `json:"name"`
	Driver    string `json:"driver"`
	SpeedMbit int64  `json:"speed_mbit"`
}

type GPU struct {
	Address string `json:"address"`
	Vendor  string `json:"vendor"`
	Device  string `json:"device"`
	VRAMMiB int64  `json:"vram_mib"`
}

const (
	listLimit = 64
	textLimit = 200
)

// readHardware looks at a /sys and a /proc; tests give it others.
func readHardware(sys, proc string) (Identity, Hardware) {
	dmi := func(name string) string { return short(firstLine(filepath.Join(sys, "class/dmi/id", name))) }
	model, flags := readProcessor(filepath.Join(proc, "cpuinfo"))
	found := Hardware{
		Vendor: dmi("sys_vendor"), Product: dmi("product_name"), Serial: dmi("product_serial"),
		Firmware: short(strings.TrimSpace(dmi("bios_vendor") + " " + dmi("bios_version"))), BootMode: "bios",
		CPUModel: model, CPUThreads: runtime.NumCPU(), CPUFlags: flags, MemoryMiB: readMemory(filepath.Join(proc, "meminfo")),
		Disks: disksIn(sys), NICs: cardsIn(sys), GPUs: gpusIn(sys),
	}
	if _, err := os.Stat(filepath.Join(sys, "firmware/efi")); err == nil {
		found.BootMode = "uefi"
	}
	identity := Identity{MACs: []string{}}
	for _, card := range found.NICs {
		identity.MACs = append(identity.MACs, card.MAC)
	}
	if uuid := strings.ToLower(dmi("product_uuid")); uuid != "" {
		identity.UUID = &uuid
	}
	return identity, found
}

// cardsIn lists real network cards: what a driver made up has no device below it.
func cardsIn(sys string) []NIC {
	folders, _ := filepath.Glob(filepath.Join(sys, "class/net/*"))
	found := []NIC{}
	for _, folder := range folders {
		device := filepath.Join(folder, "device")
		mac := firstLine(filepath.Join(folder, "address"))
		if _, err := os.Stat(device); err != nil || len(mac) != 17 || mac == "00:00:00:00:00:00" || len(found) == 32 {
			continue
		}
		driver, _ := os.Readlink(filepath.Join(device, "driver"))
		found = append(found, NIC{
			MAC: mac, Name: filepath.Base(folder), Driver: short(filepath.Base(driver)),
			SpeedMbit: max(number(filepath.Join(folder, "speed")), 0),
		})
	}
	return found
}

// gpusIn goes by the PCI class (0x0300 display, 0x0302 3D), never by a name.
func gpusIn(sys string) []GPU {
	folders, _ := filepath.Glob(filepath.Join(sys, "bus/pci/devices/*"))
	found := []GPU{}
	for _, folder := range folders {
		class := firstLine(filepath.Join(folder, "class"))
		if (strings.HasPrefix(class, "0x0300") || strings.HasPrefix(class, "0x0302")) && len(found) < listLimit {
			found = append(found, GPU{
				Address: filepath.Base(folder), Vendor: hexID(filepath.Join(folder, "vendor")),
				Device: hexID(filepath.Join(folder, "device")), VRAMMiB: number(filepath.Join(folder, "mem_info_vram_total")) / mebibyte,
			})
		}
	}
	return found
}

func hexID(path string) string {
	text := strings.TrimPrefix(firstLine(path), "0x")
	if len(text) != 4 {
		return "0000"
	}
	return strings.ToLower(text)
}

func readProcessor(path string) (model string, flags []string) {
	content, _ := os.ReadFile(path)
	flags = []string{}
	for _, line := range strings.Split(string(content), "\n") {
		name, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(name) {
		case "model name":
			model = short(strings.TrimSpace(value))
		case "flags":
			flags = strings.Fields(value)
			return model, flags[:min(len(flags), 400)]
		}
	}
	return model, flags
}

// readMemory rounds to 64 MiB: what the kernel keeps for itself differs a little from boot to boot.
func readMemory(path string) int64 {
	content, _ := os.ReadFile(path)
	for _, line := range strings.Split(string(content), "\n") {
		if words := strings.Fields(line); len(words) >= 2 && words[0] == "MemTotal:" {
			kib, _ := strconv.ParseInt(words[1], 10, 64)
			return (kib/1024 + 63) / 64 * 64
		}
	}
	return 0
}

func short(text string) string {
	if len(text) > textLimit {
		return text[:textLimit]
	}
	return text
}
