package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Membership is the answer to the exchange: all that makes a machine a member.
type Membership struct {
	MachineID       string          `json:"machine_id"`
	Name            string          `json:"name"`
	HostCertificate string          `json:"host_certificate"`
	UserCA          string          `json:"user_ca"`
	SSHUser         string          `json:"ssh_user"`
	Certificate     string          `json:"certificate"`
	CA              string          `json:"ca"`
	Nomad           json.RawMessage `json:"nomad"`
	Consul          json.RawMessage `json:"consul"`
	CallHomeToken   string          `json:"call_home_token"`
	NotAfter        string          `json:"not_after"`
}

// CallHome is what an installed machine says at each boot, and to whom.
type CallHome struct {
	API   string `json:"api"`
	Name  string `json:"name"`
	Token string `json:"token"`
}

// Late in its folder: what the roles write there counts first.
const sshConfig = `# Written at enrolment: who this machine is, and whose certificates it lets in.
HostKey /etc/ssh/ssh_host_ed25519_key
HostCertificate /etc/ssh/ssh_host_ed25519_key-cert.pub
TrustedUserCAKeys /etc/ssh/soundstage_user_ca.pub
PasswordAuthentication no
KbdInteractiveAuthentication no
`

// writeMember puts a machine's identity on its disk. Whatever an image brought along of another's goes.
func writeMember(root, api string, keys Keys, member Membership) error {
	if strings.ContainsAny(member.Name, "/\n ") || member.Name == "" {
		return fmt.Errorf("%q cannot be a machine's name", member.Name)
	}
	old, _ := filepath.Glob(filepath.Join(root, "etc/ssh/ssh_host_*"))
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			return failf(diskFailed, "%v", err)
		}
	}
	machineID := make([]byte, 16)
	rand.Read(machineID)
	home, err := json.MarshalIndent(CallHome{api, member.Name, member.CallHomeToken}, "", " ")
	if err != nil {
		return err
	}
	engines, err := json.MarshalIndent(map[string]any{
		"machine_id": member.MachineID, "name": member.Name, "nomad": member.Nomad, "consul": member.Consul,
	}, "", " ")
	if err != nil {
		return err
	}
	files := []struct {
		path    string
		content string
		mode    os.FileMode
	}{
		{"etc/hostname", member.Name, 0o644},
		{"etc/hosts", "127.0.0.1 localhost\n127.0.1.1 " + member.Name + "\n::1 localhost ip6-localhost\n", 0o644},
		{"etc/machine-id", hex.EncodeToString(machineID), 0o444},
		{"etc/ssh/ssh_host_ed25519_key", string(keys.SSHPrivate), 0o600},
		{"etc/ssh/ssh_host_ed25519_key.pub", keys.SSHPublic, 0o644},
		{"etc/ssh/ssh_host_ed25519_key-cert.pub", member.HostCertificate, 0o644},
		{"etc/ssh/soundstage_user_ca.pub", member.UserCA, 0o644},
		{"etc/ssh/sshd_config.d/90-soundstage-enrolled.conf", sshConfig, 0o644},
		{"etc/soundstage/ca.pem", member.CA, 0o644},
		{"etc/soundstage/host-certificate.pub", member.HostCertificate, 0o644},
		{"etc/soundstage/machine.pem", member.Certificate, 0o644},
		{"etc/soundstage/machine-key.pem", string(keys.TLSPrivate), 0o600},
		{"etc/soundstage/engines.json", string(engines), 0o600},
		{"etc/soundstage/call-home.json", string(home), 0o600},
	}
	for _, one := range files {
		path := filepath.Join(root, one.path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return failf(diskFailed, "%v", err)
		}
		if err := os.RemoveAll(path); err != nil {
			return failf(diskFailed, "%v", err)
		}
		if err := os.WriteFile(path, []byte(strings.TrimRight(one.content, "\n")+"\n"), one.mode); err != nil {
			return failf(diskFailed, "%v", err)
		}
	}
	return nil
}
