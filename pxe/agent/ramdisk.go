package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"
)

const (
	trustFolder = "/etc/soundstage"
	rootFolder  = "/mnt"
	apiPatience = 2 * time.Minute
	leaseEvery  = 10 * time.Minute

	betweenReports = 5 * time.Second
	mirrorQuiet    = time.Minute
	signOfLife     = 5 * time.Minute
)

// Report is what provisioning_api/reports/schemas.py reads.
type Report struct {
	Spans   []ReportedSpan `json:"spans,omitempty"`
	Failure *ReportFailure `json:"failure,omitempty"`
	Wiped   []WipedDisk    `json:"wiped,omitempty"`
}

type ReportFailure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Ramdisk is this machine between power-on and its system.
type Ramdisk struct {
	console  *Console
	options  Options
	trust    Trust
	api      *API
	mirror   Mirror
	identity Identity
	hardware Hardware
	proofs   Proofs
	keys     *KeyStore
	address  string
	cards    []NIC
	card     NIC
	spans    Spans
}

// runRamdisk never returns: whatever happens, the machine waits, boots anew, or boots its disk.
func runRamdisk() {
	err := prepare()
	console := openConsole()
	defer func() {
		if trouble := recover(); trouble != nil {
			console.Say("this should not have happened: %v", trouble)
			forever()
		}
	}()
	if err == nil {
		err = (&Ramdisk{console: console}).run()
	}
	console.Say("%v", err)
	console.Say("nothing is changed any more; switch this machine off and on to try again")
	forever()
}

func forever() {
	for {
		time.Sleep(time.Hour)
	}
}

func (r *Ramdisk) run() error {
	r.spans.note("kernel", 0)
	end := r.spans.begin("drivers")
	folder, err := modulesFolder()
	if err != nil {
		return err
	}
	drivers, err := openDrivers(folder)
	if err != nil {
		return err
	}
	for _, trouble := range drivers.forDevices("/sys") {
		r.console.Say("a driver does not load: %v", trouble)
	}
	commandLine, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	if r.options, err = readOptions(string(commandLine)); err != nil {
		return err
	}
	if r.trust, err = readTrust(trustFolder); err != nil {
		return err
	}
	if time.Now().Before(r.trust.BuiltAt) {
		setClock(r.trust.BuiltAt)
	}
	r.identity, r.hardware = readHardware("/sys", "/proc")
	r.proofs = readProofs("/sys", r.hardware.Disks)
	end()
	end = r.spans.begin("network")
	r.cards = bootedFirst(r.hardware.NICs, r.options.Card)
	if err := r.connect(); err != nil {
		return err
	}
	end()
	r.console.Say("address %s, asking %s", r.address, r.options.API)
	// No device asks for it, and this system has no program that the kernel could load it with.
	if err := drivers.load("efivarfs"); err != nil {
		r.console.Say("a driver does not load: %v", err)
	}
	r.keys = openKeyStore()
	key, err := r.keys.key()
	if err != nil {
		return err
	}
	r.api = newAPI(r.options.API, r.trust, key)
	r.api.Clock = setClock
	r.mirror = Mirror{r.options.Files, r.trust.client(0), betweenTries, mirrorQuiet}
	r.serve()
	return nil
}

// connect takes the first of its cards that gets an address.
func (r *Ramdisk) connect() error {
	card, lease, err := bringUp(r.cards, r.console.Say)
	if err != nil {
		return err
	}
	r.card, r.address = card, lease.Address.String()
	return nil
}

// tryOtherCards lets the cards behind this one go first: an address alone does not say that the server is there.
func (r *Ramdisk) tryOtherCards() {
	if len(r.cards) < 2 {
		return
	}
	r.cards = behind(r.cards, r.card)
	err := leave(r.card)
	if err == nil {
		err = r.connect()
	}
	if err != nil {
		r.console.Say("%v", err)
		return
	}
	r.console.Say("trying %s with address %s", r.card.Name, r.address)
}

// serve reports, then does what it is told, again and again.
func (r *Ramdisk) serve() {
	r.console.Say("the code of this machine's key is %s", r.api.keyFingerprint())
	known := r.reportIn()
	leased := time.Now()
	pause := time.Duration(max(known.PollS, 1)) * time.Second
	failed := false
	for said := ""; ; {
		if time.Since(leased) > leaseEvery {
			// Whoever waits for days keeps its address; while nobody answers it is ours until somebody says otherwise.
			if fresh, err := lease(r.card, 2*time.Second); err == nil && use(r.card, fresh) == nil {
				leased, r.address = time.Now(), fresh.Address.String()
			}
		}
		claimed, err := r.api.claim()
		var refused *APIError
		switch {
		case errors.As(err, &refused) && refused.Status == http.StatusUnauthorized:
			// Our challenge has run out, or the API has been made anew.
			known = r.reportIn()
			time.Sleep(pause)
			continue
		case err != nil:
			r.console.Say("%v", err)
			time.Sleep(pause)
			continue
		}
		if said != claimed.State {
			said = claimed.State
			r.console.Say("%s is %s", known.Name, said)
		}
		switch claimed.Next {
		case "write", "enrol":
			if claimed.Token == nil {
				break
			}
			if kept := r.keys.keep(r.api.key); kept != nil {
				r.console.Say("this machine's key is lost at a restart: %v", kept)
			}
			err = r.deploy(claimed.Next == "write", *claimed.Token)
		case "wipe":
			err = r.wipe()
		case "boot":
			if !failed {
				r.console.Say("booting the disk")
				reboot()
				forever()
			}
		}
		if err != nil {
			failed = true
			r.fail(err)
		}
		time.Sleep(pause)
	}
}

// reportIn tries until it is heard: a server that is away, proves nothing or refuses may be mended, and nothing is
// lost by waiting.
func (r *Ramdisk) reportIn() DiscoverResponse {
	end := r.spans.begin("report")
	for said := ""; ; time.Sleep(betweenReports) {
		known, err := r.api.discover(r.identity, r.hardware, r.address, r.proofs)
		if err == nil {
			end()
			r.console.Say("this machine is %s; its code is %s", known.Name, r.api.keyFingerprint())
			return known
		}
		if said != err.Error() {
			said = err.Error()
			r.console.Say("%s", said)
		}
		if asFailure(agentBroken, err).Code == networkLost {
			r.tryOtherCards()
		}
	}
}

// retry repeats a call that fails for a temporary reason.
func (r *Ramdisk) retry(call func() error) error {
	for until := time.Now().Add(apiPatience); ; time.Sleep(2 * time.Second) {
		err := call()
		if err == nil || isPermanent(err) || time.Now().After(until) {
			return err
		}
		r.console.Say("%v", err)
	}
}

// tell reports, and tries again what may pass.
func (r *Ramdisk) tell(report Report) error {
	return r.retry(func() error { return r.api.report(report) })
}

// fail tells what went wrong. The machine stays on, so that a new yes finds it.
func (r *Ramdisk) fail(err error) {
	failure := asFailure(agentBroken, err)
	r.console.Say("FAILED %v", failure)
	message := failure.Message
	if len(message) > textLimit {
		message = message[:textLimit]
	}
	report := Report{Spans: r.spans.take(), Failure: &ReportFailure{failure.Code, message}}
	if err := r.tell(report); err != nil {
		r.console.Say("it could not be reported: %v", err)
	}
}

// deploy writes the image if it may, and enrols. When it returns nil the machine has gone into its reboot.
func (r *Ramdisk) deploy(write bool, token string) error {
	// From the API and not from the mirror: an old manifest is well signed too, and only TLS says that it is today's.
	manifest, err := Mirror{r.options.API, r.api.http, betweenTries, mirrorQuiet}.manifest(r.trust.ManifestKey)
	if err != nil {
		return err
	}
	if write && manifest.usesInstaller() {
		return r.install(manifest, token)
	}
	target, root, err := r.onDisk(manifest, write)
	if err != nil {
		return err
	}
	end := r.spans.begin("grow and enrol")
	if err := mountRoot(target, root, rootFolder); err != nil {
		return err
	}
	err = growRoot(rootFolder, root)
	if err == nil {
		err = r.enrolInto(rootFolder, token)
	}
	// Also after a failure: a disk in use could not be written to by the next yes.
	if leaving := unmount(rootFolder); err == nil {
		err = leaving
	}
	if err != nil {
		return err
	}
	end()
	report := Report{Spans: r.spans.take()}
	if err := r.tell(report); err != nil {
		r.console.Say("its times could not be reported: %v", err)
	}
	r.console.Say("done; booting the disk")
	reboot()
	forever()
	return nil
}

// onDisk is the disk with the image and its root partition: just written, or written before.
func (r *Ramdisk) onDisk(manifest Manifest, write bool) (Disk, Partition, error) {
	image, err := r.mirror.image(manifest)
	if err != nil {
		return Disk{}, Partition{}, err
	}
	disk, err := r.diskFor(image, write)
	if err != nil {
		return disk, Partition{}, err
	}
	target, err := openTarget("/dev/" + disk.Name)
	if err != nil {
		return disk, Partition{}, err
	}
	defer target.Close()
	if write {
		if err := r.write(image, disk, target); err != nil {
			return disk, Partition{}, err
		}
	}
	table, err := readTable(target)
	if err != nil {
		return disk, Partition{}, err
	}
	root, found := table.partition(image.RootLabel)
	if !found {
		return disk, root, failf(halfWritten, "%s has no partition %s", disk.Name, image.RootLabel)
	}
	// Also when it was written before: power may have failed between the last piece and this.
	root = grown(root, disk.Bytes)
	if err := table.grow(target, disk.Bytes, root); err != nil {
		return disk, root, err
	}
	return disk, root, target.rereadPartitions()
}

func (r *Ramdisk) diskFor(image Image, write bool) (Disk, error) {
	carrying := carriers("/dev", r.hardware.Disks, image.RootLabel)
	if !write {
		// The table comes last: the disk that has it is the one that was written, whatever would be chosen today.
		return onlyCarrier(carrying, image.RootLabel)
	}
	chosen, err := chooseDisk(r.hardware.Disks, image)
	if err != nil {
		return chosen, err
	}
	return chosen, mayBeOnly(carrying, chosen)
}

func (r *Ramdisk) write(image Image, disk Disk, target *Target) error {
	for _, line := range planOf(image, disk) {
		r.console.Say("%s", line)
	}
	// From here on the acceptance is used up: a machine that boots twice finds nothing to use.
	if err := r.api.beginWrite(); err != nil {
		return err
	}
	// What an older system kept at the end of its disk (its spare partition table, the members of arrays) goes first:
	// firmware would take the spare table of a disk that is left half written for a good one.
	if err := target.zero(disk.Bytes-mebibyte, mebibyte); err != nil {
		return err
	}
	end := r.spans.begin("stream the image")
	shown, told := int64(0), time.Now()
	err := writeImage(r.mirror, image, target, func(done, all int64) {
		if tenth := 10 * done / all; tenth > shown {
			shown = tenth
			r.console.Say("%3d %%", 10*tenth)
		}
		if time.Since(told) > signOfLife {
			// Without a word for long, it would be taken for dead. A server that is away for a moment stops no write.
			told = time.Now()
			if err := r.api.report(Report{}); err != nil {
				r.console.Say("%v", err)
			}
		}
	})
	if err != nil {
		return err
	}
	end()
	return nil
}

// planOf says what is about to change, before it does.
func planOf(image Image, disk Disk) []string {
	last := image.Chunks[len(image.Chunks)-1]
	return []string{
		"PLAN: image " + image.Version,
		fmt.Sprintf("  all of %s (%s %s, %d MiB) is written over", disk.Name, disk.Model, disk.Serial, disk.Bytes/mebibyte),
		fmt.Sprintf("  %d MiB are fetched, in %d pieces that are verified one by one", (last.At+last.Bytes)/mebibyte, len(image.Chunks)),
		fmt.Sprintf("  partition %s grows to half of the disk; the rest is room for a second one", image.RootLabel),
		"  keys are made here; the machine enrols and boots from this disk",
	}
}

// enrolInto exchanges the token and writes what it gets below `root`.
func (r *Ramdisk) enrolInto(root, token string) error {
	keys, err := makeKeys("soundstage")
	if err != nil {
		return err
	}
	request := map[string]any{
		"token": token, "macs": r.identity.MACs, "uuid": r.identity.UUID, "host_key": keys.SSHPublic, "csr": keys.CSR,
	}
	var member Membership
	err = r.retry(func() (err error) {
		member, err = r.api.enrol(request)
		return err
	})
	if err != nil {
		return err
	}
	r.console.Say("enrolled as %s", member.Name)
	if err := writeMember(root, r.options.API, keys, member); err != nil {
		return err
	}
	// From here on the credential on the disk proves this machine.
	if err := r.keys.forget(); err != nil {
		r.console.Say("the key in the firmware cannot be removed: %v", err)
	}
	return nil
}
