package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// The installer way: where no image is published and Debian's installer is, it writes the disk instead of us. We
// have verified it, so we start it, in this very boot, and hand over in memory what it needs: firmware could do
// neither.
const (
	installerKernel  = "installer-vmlinuz"
	installerRamdisk = "installer-initrd.gz"
	memberFolder     = "soundstage-member"
	largestArtefact  = 512 * mebibyte
)

// installs says whether the manifest leaves writing to the installer.
func (m Manifest) installs() bool {
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

// whole is a published file in memory, compared with its hash.
func (m Mirror) whole(manifest Manifest, name string) ([]byte, error) {
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
		return nil, named(err)
	}
	digest := sha256.Sum256(content)
	if hex.EncodeToString(digest[:]) != artefact.SHA256 {
		return nil, failf(badChunk, "%s is not what the manifest names", name)
	}
	return content, nil
}

// preseed is what the installer is told about this machine, from the API and nobody else.
func (r *Ramdisk) preseed() ([]byte, error) {
	if len(r.identity.MACs) == 0 {
		return nil, failf(networkLost, "this machine has no network card that its kernel knows")
	}
	address := r.options.API + "/boot/" + url.PathEscape(r.identity.MACs[0]) + "/preseed.cfg"
	response, err := r.api.http.Get(address)
	if err != nil {
		return nil, named(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, mebibyte))
	if err != nil {
		return nil, named(err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, failf(artefactMissing, "the installer gets no answers: %s %s", response.Status, content)
	}
	return content, nil
}

// startable is tried before the acceptance is used up: firmware with Secure Boot lets no kernel start another one.
func startable(load func(kernel, ramdisk []byte, options string) error, kernel, ramdisk []byte) error {
	if err := load(kernel, ramdisk, installerOptions("/proc/cmdline")); err != nil {
		return failf(agentBroken, "the installer cannot be started, nothing was changed; Secure Boot does not let it: %v", err)
	}
	return nil
}

// install enrols and starts the installer; it returns only when that has failed. Everything that can fail is tried
// before the acceptance is used up.
func (r *Ramdisk) install(manifest Manifest, token string) error {
	end := r.spans.begin("fetch the installer")
	kernel, err := r.mirror.whole(manifest, installerKernel)
	if err != nil {
		return err
	}
	ramdisk, err := r.mirror.whole(manifest, installerRamdisk)
	if err != nil {
		return err
	}
	answers, err := r.preseed()
	if err != nil {
		return err
	}
	end()
	if err := startable(loadKernel, kernel, ramdisk); err != nil {
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
	var more bytes.Buffer
	archive := newArchive(&more)
	if err := archive.addTree(memberFolder, folder); err != nil {
		return failf(agentBroken, "%v", err)
	}
	archive.add("preseed.cfg", answers, 0o600)
	archive.end()
	// Linux unpacks one archive after the other; each begins on a multiple of four.
	whole := append(ramdisk, make([]byte, (4-len(ramdisk)%4)%4)...)
	if err := loadKernel(kernel, append(whole, more.Bytes()...), installerOptions("/proc/cmdline")); err != nil {
		return failf(agentBroken, "the installer cannot be started: %v", err)
	}
	report := Report{Spans: r.spans.take()}
	if err := r.tell(report); err != nil {
		r.console.Say("its times could not be reported: %v", err)
	}
	r.console.Say("starting the installer")
	unix.Sync()
	return unix.Reboot(unix.LINUX_REBOOT_CMD_KEXEC)
}

// installerOptions keeps the consoles that this kernel was told.
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
