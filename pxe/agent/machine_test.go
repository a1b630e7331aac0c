package main

import (
	"crypto/ed25519"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func publicOf(p *published) []byte { return p.key.Public().(ed25519.PublicKey) }

func jsonOf(value any) ([]byte, error) { return json.Marshal(value) }

func TestAClockAt1970FailsNoGoodCertificate(t *testing.T) {
	ours := newAuthority(t)
	now := time.Now()
	good, _ := ours.leaf(t, now.Add(-time.Minute), now.Add(time.Hour))
	if err := ours.trust().check(chain(good), "127.0.0.1", time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
}

func TestServersThatProveNothingAreRefused(t *testing.T) {
	ours, others := newAuthority(t), newAuthority(t)
	now := time.Now()
	good, _ := ours.leaf(t, now.Add(-time.Minute), now.Add(time.Hour))
	expired, _ := ours.leaf(t, now.Add(-2*time.Hour), now.Add(-time.Hour))
	foreign, _ := others.leaf(t, now.Add(-time.Minute), now.Add(time.Hour))
	member, _ := ours.leafOf(t, "node1", now.Add(-time.Minute), now.Add(time.Hour))
	trust := ours.trust()
	trust.BuiltAt = now
	for name, err := range map[string]error{
		"expired": trust.check(chain(expired), "127.0.0.1", now),
		"expired, with a clock that does not know it": trust.check(chain(expired), "127.0.0.1", time.Unix(0, 0)),
		"of another authority":                        trust.check(chain(foreign), "127.0.0.1", now),
		"of another name":                             trust.check(chain(good), "192.0.2.1", now),
		"of a member":                                 trust.check(chain(member), "127.0.0.1", now),
		"without name":                                trust.check(chain(good), "", now),
		"none":                                        trust.check(nil, "127.0.0.1", now),
	} {
		if err == nil {
			t.Errorf("a certificate was believed: %s", name)
		}
	}
}

func TestTheSmallestDiskThatHoldsTheImageIsTaken(t *testing.T) {
	image := Image{DiskBytes: 100}
	disk := func(name string, bytes int64) Disk { return Disk{Name: name, Bytes: bytes, sectorBytes: sector} }
	chosen, err := chooseDisk([]Disk{disk("sda", 5000), disk("sdb", 50), disk("nvme0n1", 200), disk("sdc", 200)}, image)
	if err != nil || chosen.Name != "nvme0n1" {
		t.Fatal(chosen, err)
	}
	_, err = chooseDisk([]Disk{disk("sda", 50)}, image)
	mustFail(t, err, diskTooSmall)
	_, err = chooseDisk([]Disk{{Name: "sda", Bytes: 5000, sectorBytes: 4096}}, image)
	mustFail(t, err, diskTooSmall)
	_, err = chooseDisk(nil, image)
	mustFail(t, err, noDisk)
}

func TestTheRootPartitionGrowsToHalfAndTheTableStaysWhole(t *testing.T) {
	sfdisk, err := exec.LookPath("sfdisk")
	if err != nil {
		t.Skip("apt-get install fdisk")
	}
	disk := diskWith(t, 64*mebibyte)
	script := "label: gpt\nfirst-lba: 2048\nstart=2048, size=2048, name=esp\nstart=4096, size=16384, name=root-a\n"
	command := exec.Command(sfdisk, "--quiet", "--wipe", "always", disk.Name())
	command.Stdin = strings.NewReader(script)
	if said, err := command.CombinedOutput(); err != nil {
		t.Fatal(string(said))
	}
	const larger = 256 * mebibyte
	if err := disk.Truncate(larger); err != nil {
		t.Fatal(err)
	}
	table, err := readTable(disk)
	if err != nil {
		t.Fatal(err)
	}
	root, found := table.partition("root-a")
	if !found || root.Number != 2 || root.First != 4096 {
		t.Fatal(root, found)
	}
	root = grown(root, larger)
	if err := table.grow(disk, larger, root); err != nil {
		t.Fatal(err)
	}
	said, err := exec.Command(sfdisk, "--verify", disk.Name()).CombinedOutput()
	if err != nil || !strings.Contains(string(said), "No errors detected") {
		t.Fatal(string(said))
	}
	free := uint64(larger/sector) - 34 - root.Last
	if size := root.Last - root.First + 1; size*sector < 120*mebibyte || free < size-mebibyte/sector {
		t.Fatalf("root has %d sectors, and %d are free behind it", size, free)
	}
	if !strings.Contains(list(t, sfdisk, disk.Name()), "root-a") {
		t.Fatal("the partition has lost its name")
	}
}

func list(t *testing.T, sfdisk, disk string) string {
	t.Helper()
	said, err := exec.Command(sfdisk, "--dump", disk).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(said)
}

func TestADiskWithoutOurTableIsHalfWritten(t *testing.T) {
	_, err := readTable(diskWith(t, mebibyte))
	mustFail(t, err, halfWritten)
}

func TestASmallDiskGivesAllToTheRoot(t *testing.T) {
	root := Partition{Number: 3, First: 131072, Last: 131072 + 2048*400}
	if got := grown(root, 500*mebibyte); got.Last < root.Last || (got.Last+1)%2048 != 0 || got.Last >= 500*2048-34 {
		t.Fatal(got)
	}
}

func TestKeysAreReadByOpenSSH(t *testing.T) {
	program, err := exec.LookPath("ssh-keygen")
	if err != nil {
		t.Skip("apt-get install openssh-client")
	}
	keys, err := makeKeys("node1")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, keys.SSHPrivate, 0o600); err != nil {
		t.Fatal(err)
	}
	public, err := exec.Command(program, "-y", "-f", path).Output()
	if err != nil || strings.TrimSpace(string(public)) != keys.SSHPublic {
		t.Fatalf("%s is not %s", public, keys.SSHPublic)
	}
}

func TestAMembersFilesAreItsOwnAndItsKeysAreSecret(t *testing.T) {
	root := t.TempDir()
	old := filepath.Join(root, "etc/ssh/ssh_host_rsa_key")
	if err := os.MkdirAll(filepath.Dir(old), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(old, []byte("another's"), 0o600); err != nil {
		t.Fatal(err)
	}
	member := Membership{Name: "node1", CA: "CA", CallHomeToken: "token", Nomad: []byte(`{"region":"global"}`), Consul: []byte("{}")}
	if err := writeMember(root, "https://10.0.0.1:8002", Keys{SSHPrivate: []byte("secret")}, member); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); err == nil {
		t.Fatal("the image's own host key is still there")
	}
	for _, name := range []string{"ssh/ssh_host_ed25519_key", "soundstage/machine-key.pem", "soundstage/call-home.json"} {
		info, err := os.Stat(filepath.Join(root, "etc", name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Fatal(name, info, err)
		}
	}
	member.Name = "../../evil"
	if writeMember(root, "https://10.0.0.1:8002", Keys{}, member) == nil {
		t.Fatal("a name became a path")
	}
}

func TestHardwareIsReadFromSysAndNothingRemovableIsADisk(t *testing.T) {
	sys, proc := t.TempDir(), t.TempDir()
	write := func(path, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(sys+"/class/dmi/id/product_uuid", "4C4C4544-0042-3510-8051-B4C04F333333")
	write(sys+"/class/dmi/id/sys_vendor", "Maker")
	write(sys+"/class/net/eth0/address", "52:54:00:00:00:01")
	write(sys+"/class/net/eth0/device/vendor", "x")
	write(sys+"/class/net/lo/address", "00:00:00:00:00:00")
	write(sys+"/bus/pci/devices/0000:01:00.0/class", "0x030200")
	write(sys+"/bus/pci/devices/0000:01:00.0/vendor", "0x10de")
	write(sys+"/bus/pci/devices/0000:01:00.0/device", "0x26B9")
	for _, disk := range [][2]string{{"sda", "0"}, {"sdb", "1"}, {"mmcblk0", "0"}, {"nvme0c0n1", "0"}} {
		write(sys+"/block/"+disk[0]+"/size", "2048")
		write(sys+"/block/"+disk[0]+"/removable", disk[1])
		write(sys+"/block/"+disk[0]+"/device/model", "Disk")
		write(sys+"/block/"+disk[0]+"/queue/logical_block_size", "512")
	}
	write(sys+"/block/sda/device/vpd_pg80", "\x00\x80\x00\x08  SER123")
	write(sys+"/block/mmcblk0/device/type", "SD")
	write(sys+"/block/nvme0c0n1/hidden", "1")
	write(sys+"/block/loop0/size", "2048")
	write(proc+"/meminfo", "MemTotal:       1000000 kB")
	write(proc+"/cpuinfo", "processor\t: 0\nmodel name\t: A processor\nflags\t\t: sse avx")
	identity, found := readHardware(sys, proc)
	if *identity.UUID != "4c4c4544-0042-3510-8051-b4c04f333333" || !reflect.DeepEqual(identity.MACs, []string{"52:54:00:00:00:01"}) {
		t.Fatal(identity)
	}
	if len(found.Disks) != 1 || found.Disks[0].Name != "sda" || found.Disks[0].Serial != "SER123" || found.Disks[0].Bytes != mebibyte || found.MemoryMiB != 1024 {
		t.Fatal(found)
	}
	if len(found.GPUs) != 1 || found.GPUs[0].Device != "26b9" || found.BootMode != "bios" || found.CPUModel != "A processor" {
		t.Fatal(found)
	}
}

func TestOnlyHTTPSIsAskedAndTheTaskOfABootScriptIsNotRead(t *testing.T) {
	found, err := readOptions("quiet soundstage.api=https://10.0.0.1:8002/ soundstage.files=http://10.0.0.1 soundstage.task=wipe")
	if err != nil || found.API != "https://10.0.0.1:8002" || found.Files != "http://10.0.0.1" {
		t.Fatal(found, err)
	}
	for _, line := range []string{"", "soundstage.api=http://10.0.0.1", "soundstage.api=https://"} {
		if _, err := readOptions(line); err == nil {
			t.Errorf("%q names a server to trust", line)
		}
	}
}

func TestPartitionsAreNamedAsLinuxNamesThem(t *testing.T) {
	for want, got := range map[string]string{"/dev/sda3": partitionDevice("sda", 3), "/dev/nvme0n1p3": partitionDevice("nvme0n1", 3)} {
		if want != got {
			t.Errorf("%s is not %s", got, want)
		}
	}
}
