package main

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// Options come on the kernel's command line, from a boot script that nobody signed: they say where to ask, and
// never what to do. No secret is among them.
type Options struct {
	API   string // https, the provisioning API
	Files string // http, where artefacts are; the API itself when nothing else was said
	Card  string // MAC of the card that this was booted over; empty when firmware does not say
}

func readOptions(commandLine string) (Options, error) {
	var found Options
	for _, word := range strings.Fields(commandLine) {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "soundstage.api":
			found.API = strings.TrimRight(value, "/")
		case "soundstage.files":
			found.Files = strings.TrimRight(value, "/")
		case "soundstage.card":
			if mac, err := net.ParseMAC(value); err == nil {
				found.Card = mac.String()
			}
		}
	}
	if address, err := url.Parse(found.API); err != nil || address.Scheme != "https" || address.Host == "" {
		return found, fmt.Errorf("the boot script names no https address in soundstage.api: %q", found.API)
	}
	if found.Files == "" {
		found.Files = found.API
	}
	return found, nil
}
