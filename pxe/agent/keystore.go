package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	// A variable of the firmware, with a vendor GUID of ours.
	keyVariable = "SoundstageAgentKey-5b0e6a0f-7f3f-4a52-9d0d-6c1b7f1f2a58"
	immutable   = 0x10 // FS_IMMUTABLE_FL, linux/fs.h, which golang.org/x/sys does not name
)

// Non-volatile, and readable in boot services and at run time (UEFI specification, 8.2).
var variableAttributes = []byte{7, 0, 0, 0}

// KeyStore keeps the key of this ramdisk over a restart, where the firmware has variables: from the yes of a person,
// before which nothing of a machine is written to, until the machine has its credential, or is wiped.
type KeyStore struct {
	folder string
	kept   bool
}

// openKeyStore mounts the variables of UEFI firmware; a machine with a BIOS has none, and its key is lost with its power.
func openKeyStore() *KeyStore {
	folder := "/sys/firmware/efi/efivars"
	if err := unix.Mount("efivarfs", folder, "efivarfs", unix.MS_NOSUID|unix.MS_NOEXEC|unix.MS_NODEV, ""); err != nil && !errors.Is(err, unix.EBUSY) {
		return &KeyStore{}
	}
	return &KeyStore{folder: folder}
}

func (s *KeyStore) path() string { return filepath.Join(s.folder, keyVariable) }

// key is the one that was kept, or a new one. What is cut off or is no key of ours counts as none.
func (s *KeyStore) key() (ed25519.PrivateKey, error) {
	if s.folder != "" {
		content, err := os.ReadFile(s.path())
		if err == nil && len(content) == len(variableAttributes)+ed25519.SeedSize {
			s.kept = true
			return ed25519.NewKeyFromSeed(content[len(variableAttributes):]), nil
		}
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return key, err
}

// keep writes the key once. Firmware takes a variable whole or not at all, in one write.
func (s *KeyStore) keep(key ed25519.PrivateKey) error {
	if s.folder == "" || s.kept {
		return nil
	}
	if err := s.forget(); err != nil {
		return err
	}
	content := append(append([]byte{}, variableAttributes...), key.Seed()...)
	file, err := os.OpenFile(s.path(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := file.Write(content); err != nil {
		file.Close()
		return err
	}
	s.kept = true
	return file.Close()
}

// forget removes the variable; none is no error.
func (s *KeyStore) forget() error {
	if s.folder == "" {
		return nil
	}
	file, err := os.Open(s.path())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	// Linux makes variables immutable, so that no careless rm bricks a computer. Elsewhere there is no such flag.
	if flags, err := unix.IoctlGetInt(int(file.Fd()), unix.FS_IOC_GETFLAGS); err == nil && flags&immutable != 0 {
		_ = unix.IoctlSetPointerInt(int(file.Fd()), unix.FS_IOC_SETFLAGS, flags&^immutable)
	}
	file.Close()
	s.kept = false
	return os.Remove(s.path())
}
