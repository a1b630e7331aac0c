// The deploy agent: a machine's first program, in a ramdisk that booted over the network. It tells what the
// machine is made of and waits; told to, it writes the published image to a disk, makes the machine's keys and
// enrols it. Installed in the image, the same program calls home at each boot (`agent call-home`).
package main

import (
	"fmt"
	"os"
)

func main() {
	switch {
	case os.Getpid() == 1:
		runRamdisk()
	case len(os.Args) == 2 && os.Args[1] == "call-home":
		if err := callHome("/etc/soundstage"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	default:
		fmt.Fprintln(os.Stderr, "usage: agent call-home (as process 1 of a ramdisk it deploys)")
		os.Exit(2)
	}
}
