package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// callHome says that this installed machine is there, and at which address; it tries until it is heard.
func callHome(folder string) error {
	content, err := os.ReadFile(filepath.Join(folder, "call-home.json"))
	if err != nil {
		return err
	}
	var home CallHome
	if err := json.Unmarshal(content, &home); err != nil {
		return fmt.Errorf("call-home.json: %w", err)
	}
	trust, err := readTrust(folder)
	if err != nil {
		return err
	}
	client := trust.client(time.Minute)
	for wait := 500 * time.Millisecond; ; wait = min(wait*3/2, 30*time.Second) {
		err := callOnce(home, func(address string) error {
			call := map[string]string{"hostname": home.Name, "ip": address}
			var answer struct {
				Message string `json:"message"`
			}
			err := postJSON(client, home.API+"/api/ready-for-provisioning", home.Token, call, &answer, nil)
			if err == nil {
				fmt.Println(answer.Message)
			}
			return err
		})
		var refused *Refused
		if err == nil {
			return nil
		}
		// A no stays a no; a server in trouble may recover.
		if errors.As(err, &refused) && refused.Status < 500 && refused.Status != 429 {
			return err
		}
		fmt.Fprintln(os.Stderr, err)
		time.Sleep(wait)
	}
}

// callOnce finds the address by which the API sees us.
func callOnce(home CallHome, call func(address string) error) error {
	target, err := url.Parse(home.API)
	if err != nil {
		return err
	}
	port := target.Port()
	if port == "" {
		port = "443"
	}
	// No packet is sent by this: the kernel only says which of our addresses it would use.
	link, err := net.Dial("udp", net.JoinHostPort(target.Hostname(), port))
	if err != nil {
		return err
	}
	address := link.LocalAddr().(*net.UDPAddr).IP.String()
	link.Close()
	return call(address)
}
