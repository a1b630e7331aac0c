package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Installation by Debian's installer: where no image is published and the installer is, it writes the disk. This agent
// verifies the installer, starts it in the same boot (kexec), and passes preseed and credentials in memory. Firmware can
// neither verify it nor pass it files.
const (
	installerKernel  = "installer-vmlinuz"
	installerRamdisk = "installer-initrd.gz"
	memberFolder     = "soundstage-member"
	largestArtefact  = 512 * mebibyte
)

// usesInstaller says whether the manifest leaves writing to the installer.
func (m Manifest) usesInstaller() bool {
	for _, one := range m.Artefacts {
		if strings.HasSuffix(one.Name, indexSuffix) {
			return false
		}
	}
	_, kernel := m.find(installerKernel)
	_, ramdisk := m.find(installerRamdisk)
	return kernel && ramdisk
}

func (m Manifest) find(name string) (Artefact, bool) {
	for _, one := range m.Artefacts {
		if one.Name == name {
			return one, true
		}
	}
	return Artefact{}, false
}

// fetchVerified returns a published file whose hash is that of the manifest.
func (m Mirror) fetchVerified(manifest Manifest, name string) ([]byte, error) {
	artefact, found := manifest.find(name)
	if !found || artefact.Bytes > largestArtefact {
		return nil, failf(artefactMissing, "%s is not published", name)
	}
	response, err := m.get("/boot/artefacts/"+name, 0)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, artefact.Bytes+1))
	if err != nil {
		return nil, classifyTransportError(err)
	}
	digest := sha256.Sum256(content)
	if hex.EncodeToString(digest[:]) != artefact.SHA256 {
		return nil, failf(artefactInvalid, "%s is not what the manifest names", name)
	}
	return content, nil
}

// preseed fetches the installer's answers for this machine, by TLS from the API.
func (r *Ramdisk) preseed() ([]byte, error) {
	if len(r.identity.MACs) == 0 {
		return nil, failf(noNetworkCard, "this machine has no network card that its kernel knows")
	}
	address := r.options.API + "/boot/" + url.PathEscape(r.identity.MACs[0]) + "/preseed.cfg"
	response, err := r.api.http.Get(address)
	if err != nil {
		return nil, classifyTransportError(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, mebibyte))
	if err != nil {
		return nil, classifyTransportError(err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, failf(artefactMissing, "the API has no preseed for this machine: %s %s", response.Status, content)
	}
	return content, nil
}

// checkKexec loads the installer before the write grant is spent: not every kernel may or can load it.
func checkKexec(load func(kernel, ramdisk []byte, options string) error, kernel, ramdisk []byte) error {
	if err := load(kernel, ramdisk, installerOptions("/proc/cmdline")); err != nil {
		return kexecFailure(err)
	}
	return nil
}

// kexecFailure names the cause of an error of kexec_file_load(2).
func kexecFailure(err error) *Failure {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.ENODATA), errors.Is(err, unix.ENOKEY),
		errors.Is(err, unix.ENOPKG), errors.Is(err, unix.EKEYREJECTED), errors.Is(err, unix.EBADMSG):
		// A locked-down kernel, which Secure Boot makes of it, loads no other or only a signed one.
		return failf(kexecRefused, "this kernel may not start the installer (Secure Boot locks it down): %v", err)
	case errors.Is(err, unix.ENOEXEC):
		return failf(artefactInvalid, "%s is no kernel that this machine can start: %v", installerKernel, err)
	case errors.Is(err, unix.ENOMEM):
		return failf(agentBroken, "there is not enough memory to load the installer: %v", err)
	}
	return failf(agentBroken, "the installer cannot be loaded: %v", err)
}

// install enrols and starts the installer; it returns only when that has failed. Everything that can fail is tried
// before the write grant is spent.
func (r *Ramdisk) install(manifest Manifest, token string) error {
	endSpan := r.spans.begin("fetch the installer")
	kernel, err := r.mirror.fetchVerified(manifest, installerKernel)
	if err != nil {
		return err
	}
	ramdisk, err := r.mirror.fetchVerified(manifest, installerRamdisk)
	if err != nil {
		return err
	}
	preseed, err := r.preseed()
	if err != nil {
		return err
	}
	endSpan()
	if err := checkKexec(loadKernel, kernel, ramdisk); err != nil {
		return err
	}
	r.console.Say("PLAN: Debian's installer writes this machine's disk as its preseed says")
	if err := r.api.beginWrite(); err != nil {
		return err
	}
	folder := "/run/" + memberFolder
	if err := r.enrolInto(folder, token); err != nil {
		return err
	}
	var extra bytes.Buffer
	archive := newArchive(&extra)
	if err := archive.addTree(memberFolder, folder); err != nil {
		return failf(agentBroken, "%v", err)
	}
	archive.add("preseed.cfg", preseed, 0o600)
	archive.end()
	// Linux unpacks one archive after the other; each begins on a multiple of four.
	initrd := append(ramdisk, make([]byte, (4-len(ramdisk)%4)%4)...)
	if err := loadKernel(kernel, append(initrd, extra.Bytes()...), installerOptions("/proc/cmdline")); err != nil {
		return kexecFailure(err)
	}
	report := Report{Spans: r.spans.take()}
	if err := r.tell(report); err != nil {
		r.console.Say("its times could not be reported: %v", err)
	}
	r.console.Say("starting the installer")
	unix.Sync()
	return unix.Reboot(unix.LINUX_REBOOT_CMD_KEXEC)
}

// installerOptions returns the installer's command line, with the consoles of the running kernel.
func installerOptions(path string) string {
	words := []string{"auto=true", "priority=critical", "DEBIAN_FRONTEND=text"}
	content, _ := os.ReadFile(path)
	for _, word := range strings.Fields(string(content)) {
		if strings.HasPrefix(word, "console=") {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

// loadKernel makes the next kexec start this one.
func loadKernel(kernel, ramdisk []byte, options string) error {
	kernelFile, err := inMemory("kernel", kernel)
	if err != nil {
		return err
	}
	defer kernelFile.Close()
	ramdiskFile, err := inMemory("ramdisk", ramdisk)
	if err != nil {
		return err
	}
	defer ramdiskFile.Close()
	return unix.KexecFileLoad(int(kernelFile.Fd()), int(ramdiskFile.Fd()), options, 0)
}

func inMemory(name string, content []byte) (*os.File, error) {
	descriptor, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("no memory for the %s: %w", name, err)
	}
	file := os.NewFile(uintptr(descriptor), name)
	if _, err := file.Write(content); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}
