// The deploy agent: a machine's first program, in a ramdisk that booted over the network. It tells what the
// machine is made of and waits; told to, it writes the published image to a disk, makes the machine's keys and
// enrols it. Installed in the image, the same program calls home at each boot (`agent call-home`) and keeps the
// machine's certificates from ending (`agent renew`).
package main

import (
	"fmt"
	"os"
	"time"
)

func main() {
	var err error
	switch {
	case os.Getpid() == 1:
		runRamdisk()
	case len(os.Args) == 2 && os.Args[1] == "call-home":
		err = callHome("/etc/soundstage")
	case len(os.Args) == 2 && os.Args[1] == "renew":
		var done bool
		if done, err = renew("/etc/soundstage", "/etc/ssh", time.Now()); done {
			fmt.Println("the certificates of this machine are new")
		}
	default:
		fmt.Fprintln(os.Stderr, "usage: agent call-home | renew (as process 1 of a ramdisk it deploys)")
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
