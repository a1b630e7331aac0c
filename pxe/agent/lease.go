package main

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
)

// Lease is what a DHCP server (RFC 2131) gave.
type Lease struct {
	Address, Mask, Router, Server net.IP
	DNS                           []net.IP
}

const (
	dhcpDiscover = 1
	dhcpOffer    = 2
	dhcpRequest  = 3
	dhcpAck      = 5
	dhcpFixed    = 240 // bytes before the options
	dhcpLeast    = 300 // relays may drop what is shorter (RFC 1542, section 2.1)
)

var dhcpCookie = []byte{99, 130, 83, 99}

// dhcpMessage asks for a lease. Its client id is the MAC address, as iPXE's and the installed system's is, so that
// all three get the same address. The broadcast bit is set: an answer to an address we do not have yet would be lost.
func dhcpMessage(kind byte, mac net.HardwareAddr, transaction uint32, offer *Lease) []byte {
	message := make([]byte, dhcpFixed)
	message[0], message[1], message[2] = 1, 1, 6
	binary.BigEndian.PutUint32(message[4:], transaction)
	message[10] = 0x80
	copy(message[28:], mac)
	copy(message[236:], dhcpCookie)
	message = append(message, 53, 1, kind)
	message = append(message, 61, 7, 1)
	message = append(message, mac...)
	message = append(message, 55, 3, 1, 3, 6)
	if offer != nil {
		message = append(message, 50, 4)
		message = append(message, offer.Address.To4()...)
		message = append(message, 54, 4)
		message = append(message, offer.Server.To4()...)
	}
	message = append(message, 255)
	return append(message, make([]byte, max(dhcpLeast-len(message), 0))...)
}

// readDHCP is the lease in an answer of the wanted kind to our transaction; an error for every other packet.
func readDHCP(message []byte, kind byte, mac net.HardwareAddr, transaction uint32) (*Lease, error) {
	if len(message) < dhcpFixed || message[0] != 2 || binary.BigEndian.Uint32(message[4:]) != transaction ||
		!bytes.Equal(message[28:34], mac) || !bytes.Equal(message[236:240], dhcpCookie) {
		return nil, errors.New("not for us")
	}
	lease := &Lease{Address: net.IP(bytes.Clone(message[16:20])), Mask: net.IPv4(255, 255, 255, 0).To4()}
	found := byte(0)
	for options := message[dhcpFixed:]; len(options) > 1 && options[0] != 255; {
		if options[0] == 0 {
			options = options[1:]
			continue
		}
		size := int(options[1])
		if len(options) < 2+size {
			return nil, errors.New("cut off")
		}
		value := bytes.Clone(options[2 : 2+size])
		switch {
		case options[0] == 53 && size == 1:
			found = value[0]
		case options[0] == 1 && size == 4:
			lease.Mask = value
		case options[0] == 3 && size >= 4:
			lease.Router = value[:4]
		case options[0] == 54 && size == 4:
			lease.Server = value
		case options[0] == 6:
			for at := 0; at+4 <= size; at += 4 {
				lease.DNS = append(lease.DNS, value[at:at+4])
			}
		}
		options = options[2+size:]
	}
	if found != kind || lease.Server == nil || lease.Address.IsUnspecified() {
		return nil, fmt.Errorf("an answer of kind %d without what we need", found)
	}
	return lease, nil
}

func newTransaction() uint32 {
	number := make([]byte, 4)
	rand.Read(number)
	return binary.BigEndian.Uint32(number)
}
