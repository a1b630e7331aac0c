package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// disksLabelled makes files in the place of disks, each with one partition; no label is no table.
func disksLabelled(t *testing.T, labels map[string]string) (string, []Disk) {
	t.Helper()
	sfdisk, err := exec.LookPath("sfdisk")
	if err != nil {
		t.Skip("apt-get install fdisk")
	}
	folder, disks := t.TempDir(), []Disk{}
	for _, name := range []string{"sda", "sdb", "sdc"} {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, make([]byte, 16*mebibyte), 0o600); err != nil {
			t.Fatal(err)
		}
		disks = append(disks, Disk{Name: name, Bytes: 16 * mebibyte, Serial: "S-" + name})
		if labels[name] == "" {
			continue
		}
		command := exec.Command(sfdisk, "--quiet", path)
		command.Stdin = strings.NewReader("label: gpt\nstart=2048, size=2048, name=" + labels[name] + "\n")
		if said, err := command.CombinedOutput(); err != nil {
			t.Fatal(string(said))
		}
	}
	return folder, disks
}

func TestADiskIsNotWrittenWhileAnotherOneCarriesASystemOfOurs(t *testing.T) {
	folder, disks := disksLabelled(t, map[string]string{"sda": "root-a", "sdb": "data"})
	carrying := carriers(folder, append(disks, Disk{Name: "gone"}), "root-a")
	if err := mayBeOnly(carrying, disks[0]); err != nil {
		t.Fatal("its own older system is written over: ", err)
	}
	err := mayBeOnly(carrying, disks[2])
	mustFail(t, err, otherSystem)
	if !strings.Contains(err.Error(), "sda S-sda") {
		t.Fatal(err)
	}
}

func TestWhatWasWrittenBeforeIsFoundByItsTableAndNotChosenAnew(t *testing.T) {
	folder, disks := disksLabelled(t, map[string]string{"sdb": "root-a"})
	if found, err := onlyCarrier(carriers(folder, disks, "root-a"), "root-a"); err != nil || found.Name != "sdb" {
		t.Fatal(found, err)
	}
	_, err := onlyCarrier(carriers(folder, disks, "root-b"), "root-b")
	mustFail(t, err, halfWritten)
	folder, disks = disksLabelled(t, map[string]string{"sdb": "root-a", "sdc": "root-a"})
	_, err = onlyCarrier(carriers(folder, disks, "root-a"), "root-a")
	mustFail(t, err, otherSystem)
}

func TestAPartitionThatHasGrownGrowsNoFurther(t *testing.T) {
	for _, root := range []Partition{{Number: 3, First: 4096, Last: 20479}, {Number: 3, First: 131072, Last: 131072 + 2048*400}} {
		const bytes = 500 * mebibyte
		once := grown(root, bytes)
		if twice := grown(once, bytes); twice != once {
			t.Errorf("%v becomes %v", once, twice)
		}
	}
}
