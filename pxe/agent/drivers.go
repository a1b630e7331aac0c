package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Drivers loads the kernel modules that this machine's devices ask for, as udev would.
type Drivers struct {
	folder  string // of the modules of this kernel
	needs   map[string][]string
	aliases [][2]string // pattern, module
	loaded  map[string]bool
}

const compressedModule = 4 // MODULE_INIT_COMPRESSED_FILE: the kernel unpacks .ko.xz itself

func openDrivers(folder string) (*Drivers, error) {
	drivers := &Drivers{folder: folder, needs: map[string][]string{}, loaded: map[string]bool{}}
	content, err := os.ReadFile(filepath.Join(folder, "modules.dep"))
	if err != nil {
		return nil, err
	}
	for _, line := range strings.Split(string(content), "\n") {
		if path, needs, found := strings.Cut(line, ":"); found {
			drivers.needs[moduleName(path)] = append([]string{path}, strings.Fields(needs)...)
		}
	}
	if content, err = os.ReadFile(filepath.Join(folder, "modules.alias")); err != nil {
		return nil, err
	}
	for _, line := range strings.Split(string(content), "\n") {
		if words := strings.Fields(line); len(words) == 3 && words[0] == "alias" {
			drivers.aliases = append(drivers.aliases, [2]string{words[1], words[2]})
		}
	}
	return drivers, nil
}

// forDevices loads what the devices of a /sys ask for. A new driver may find new devices, so it is asked again
// until nothing comes any more. A driver that does not load is a device less, and no reason to give up.
func (d *Drivers) forDevices(sys string) []error {
	var troubles []error
	asked := map[string]bool{}
	for {
		fresh := false
		for _, alias := range deviceAliases(sys) {
			if asked[alias] {
				continue
			}
			asked[alias], fresh = true, true
			for _, module := range d.matching(alias) {
				if err := d.load(module); err != nil {
					troubles = append(troubles, err)
				}
			}
		}
		if !fresh {
			return troubles
		}
	}
}

func (d *Drivers) matching(alias string) []string {
	found := []string{}
	for _, one := range d.aliases {
		// Kernel patterns are those of a shell; brackets and stars mean the same, and no device has a slash.
		if fits, err := filepath.Match(one[0], strings.ReplaceAll(alias, "/", "_")); err == nil && fits {
			found = append(found, one[1])
		}
	}
	return found
}

func (d *Drivers) load(name string) error {
	files := d.needs[moduleName(name)]
	// Needed ones come last in the list, the innermost at the end.
	for at := len(files) - 1; at >= 0; at-- {
		path := files[at]
		if d.loaded[path] {
			continue
		}
		d.loaded[path] = true
		file, err := os.Open(filepath.Join(d.folder, path))
		if errors.Is(err, os.ErrNotExist) {
			continue // left out of the ramdisk on purpose
		}
		if err != nil {
			return err
		}
		flags := 0
		if !strings.HasSuffix(path, ".ko") {
			flags = compressedModule
		}
		err = unix.FinitModule(int(file.Fd()), "", flags)
		file.Close()
		if err != nil && !errors.Is(err, unix.EEXIST) && !errors.Is(err, unix.ENODEV) {
			return &os.PathError{Op: "load", Path: path, Err: err}
		}
	}
	return nil
}

func deviceAliases(sys string) []string {
	found := []string{}
	files, _ := filepath.Glob(filepath.Join(sys, "bus/*/devices/*/modalias"))
	for _, file := range files {
		if alias := firstLine(file); alias != "" {
			found = append(found, alias)
		}
	}
	return found
}

func moduleName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".")
	return strings.ReplaceAll(name, "-", "_")
}

func modulesFolder() (string, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "", err
	}
	return filepath.Join("/lib/modules", unix.ByteSliceToString(name.Release[:])), nil
}
