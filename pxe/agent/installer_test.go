package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTheInstallerIsTakenOnlyWhereNoImageIsPublished(t *testing.T) {
	names := func(all ...string) Manifest {
		var made Manifest
		for _, one := range all {
			made.Artefacts = append(made.Artefacts, Artefact{Name: one})
		}
		return made
	}
	for want, manifest := range map[bool]Manifest{
		true:  names(installerKernel, installerRamdisk, "installer.json"),
		false: names(installerKernel, installerRamdisk, "v1.image", "v1"+indexSuffix),
	} {
		if manifest.usesInstaller() != want {
			t.Errorf("%v", manifest)
		}
	}
	if names(installerKernel).usesInstaller() {
		t.Error("half of it is not enough")
	}
}

func TestAnInstallerThatIsNotTheOneOfTheManifestIsRefused(t *testing.T) {
	made := publish(t)
	digest := sha256.Sum256(made.data)
	good := Manifest{[]Artefact{{"v1.image", int64(len(made.data)), hex.EncodeToString(digest[:])}}}
	content, err := made.mirror().fetchVerified(good, "v1.image")
	if err != nil || !bytes.Equal(content, made.data) {
		t.Fatal(err)
	}
	_, err = made.mirror().fetchVerified(Manifest{[]Artefact{{"v1.image", int64(len(made.data)), strings.Repeat("0", 64)}}}, "v1.image")
	mustFail(t, err, artefactInvalid)
	_, err = made.mirror().fetchVerified(Manifest{[]Artefact{{"v1.image", 10, hex.EncodeToString(digest[:])}}}, "v1.image")
	mustFail(t, err, artefactInvalid)
	_, err = made.mirror().fetchVerified(Manifest{}, "v1.image")
	mustFail(t, err, artefactMissing)
}

func TestWhatIsHandedToTheInstallerIsUnpackedWithItsModes(t *testing.T) {
	if _, err := exec.LookPath("cpio"); err != nil {
		t.Skip("run: apt-get install cpio")
	}
	from, to := t.TempDir(), t.TempDir()
	key := filepath.Join(from, "etc/soundstage/machine-key.pem")
	if err := os.MkdirAll(filepath.Dir(key), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, []byte("a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	var written bytes.Buffer
	archive := newArchive(&written)
	if err := archive.addTree(memberFolder, from); err != nil {
		t.Fatal(err)
	}
	archive.add("preseed.cfg", []byte("d-i"), 0o600)
	archive.end()
	unpack := exec.Command("cpio", "--extract", "--quiet", "--make-directories", "--no-preserve-owner")
	unpack.Dir, unpack.Stdin = to, &written
	if said, err := unpack.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	info, err := os.Stat(filepath.Join(to, memberFolder, "etc/soundstage/machine-key.pem"))
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != 5 {
		t.Fatal(info, err)
	}
	if content, err := os.ReadFile(filepath.Join(to, "preseed.cfg")); err != nil || string(content) != "d-i" {
		t.Fatal(err)
	}
}

func TestTheInstallerSpeaksOnTheSameConsoles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cmdline")
	line := "initrd=agent soundstage.api=https://10.0.0.1:8002 console=tty0 console=ttyS0\n"
	if err := os.WriteFile(path, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	if said := installerOptions(path); !strings.HasSuffix(said, " console=tty0 console=ttyS0") || strings.Contains(said, "api") {
		t.Fatal(said)
	}
}

func TestAnInstallerThatCannotBeLoadedIsReportedByItsCause(t *testing.T) {
	for cause, code := range map[error]string{
		unix.EPERM: kexecRefused, unix.EKEYREJECTED: kexecRefused, unix.ENODATA: kexecRefused,
		unix.ENOEXEC: artefactInvalid, unix.ENOMEM: agentBroken, unix.EBUSY: agentBroken,
	} {
		err := checkKexec(func([]byte, []byte, string) error { return cause }, nil, nil)
		mustFail(t, err, code)
		if blamed := strings.Contains(err.Error(), "Secure Boot"); blamed != (code == kexecRefused) {
			t.Errorf("%v: %v", cause, err)
		}
	}
	if err := checkKexec(func([]byte, []byte, string) error { return nil }, nil, nil); err != nil {
		t.Fatal(err)
	}
}
