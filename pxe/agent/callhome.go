package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

const sshPatience = 2 * time.Minute

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
	// What comes of the call is a run, by SSH. Whoever has another sshd, or none, calls all the same.
	for until := time.Now().Add(sshPatience); !sshGreets("127.0.0.1:22") && time.Now().Before(until); {
		time.Sleep(200 * time.Millisecond)
	}
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
		// A no stays a no; a server in trouble may recover.
		if err == nil || isPermanent(err) {
			return err
		}
		fmt.Fprintln(os.Stderr, err)
		time.Sleep(wait)
	}
}

// sshGreets says whether an SSH server answers within seconds; at a first boot much goes on.
func sshGreets(address string) bool {
	link, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return false
	}
	defer link.Close()
	greeting := make([]byte, 4)
	if link.SetReadDeadline(time.Now().Add(5*time.Second)) != nil {
		return false
	}
	_, err = io.ReadFull(link, greeting)
	return err == nil && string(greeting) == "SSH-"
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
