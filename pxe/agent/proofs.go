package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	memberLabel  = "root-a"
	memberMount  = "/run/member"
	secretLeast  = 16
	secretLength = 64
)

// Proofs are what only this machine has: the credential of the member that it is, and the secret that its operator
// announced its serial number with. provisioning_api/enrolment/proofs.py checks them.
type Proofs struct {
	serial string
	key    *ecdsa.PrivateKey
	secret []byte
}

// readProofs looks at the disks, which stay as they are, and at the asset tag of the chassis in /sys.
func readProofs(sys string, disks []Disk) Proofs {
	found := Proofs{secret: announcedSecret(sys)}
	for _, disk := range carriers("/dev", disks, memberLabel) {
		if serial, key, err := memberOn(disk); err == nil {
			found.serial, found.key = serial, key
			return found
		}
	}
	return found
}

// announcedSecret is what the operator set in the firmware. What makers leave there is shorter than a secret may be.
func announcedSecret(sys string) []byte {
	tag := firstLine(filepath.Join(sys, "class/dmi/id/chassis_asset_tag"))
	if len(tag) < secretLeast || len(tag) > secretLength {
		return nil
	}
	return []byte(tag)
}

func memberOn(disk Disk) (string, *ecdsa.PrivateKey, error) {
	file, err := os.Open(filepath.Join("/dev", disk.Name))
	if err != nil {
		return "", nil, err
	}
	table, err := readTable(&Target{file, true})
	file.Close()
	if err != nil {
		return "", nil, err
	}
	root, _ := table.partition(memberLabel)
	if err := os.MkdirAll(memberMount, 0o700); err != nil {
		return "", nil, err
	}
	// Without its journal being played back: nothing is written to a disk that nobody has said yes to.
	device, flags := partitionDevice(disk.Name, root.Number), uintptr(unix.MS_RDONLY|unix.MS_NOEXEC|unix.MS_NOSUID|unix.MS_NODEV)
	if err := unix.Mount(device, memberMount, "ext4", flags, "noload"); err != nil {
		return "", nil, err
	}
	defer unix.Unmount(memberMount, 0)
	return memberIn(filepath.Join(memberMount, "etc/soundstage"))
}

// memberIn reads a member's credential: the serial number of its certificate, and the key.
func memberIn(folder string) (string, *ecdsa.PrivateKey, error) {
	held, err := readCertificate(filepath.Join(folder, "machine.pem"))
	if err != nil {
		return "", nil, err
	}
	key, err := readKey(filepath.Join(folder, "machine-key.pem"))
	if err != nil {
		return "", nil, err
	}
	return held.SerialNumber.String(), key, nil
}

// add signs the ramdisk's key with what there is.
func (p Proofs) add(said map[string]any, agentKey, challenge string) error {
	if p.secret != nil {
		mac := hmac.New(sha256.New, p.secret)
		mac.Write(signedText("announced", agentKey, challenge, ""))
		said["announced"] = hex.EncodeToString(mac.Sum(nil))
	}
	if p.key == nil {
		return nil
	}
	digest := sha256.Sum256(signedText("member", agentKey, challenge, ""))
	signature, err := p.key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return err
	}
	said["member"] = map[string]string{"serial": p.serial, "signature": base64.StdEncoding.EncodeToString(signature)}
	return nil
}
