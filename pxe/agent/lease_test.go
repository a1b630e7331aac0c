package main

import (
	"bytes"
	"crypto/x509"
	"net"
	"testing"
)

func chain(certificates ...*x509.Certificate) []*x509.Certificate { return certificates }

var testMAC = net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}

func offer(transaction uint32) []byte {
	message := dhcpMessage(dhcpDiscover, testMAC, transaction, nil)[:dhcpFixed]
	message[0] = 2
	copy(message[16:], net.IPv4(10, 0, 0, 7).To4())
	return append(message, 53, 1, dhcpOffer, 54, 4, 10, 0, 0, 1, 1, 4, 255, 255, 0, 0, 3, 4, 10, 0, 0, 254, 6, 8, 9, 9, 9, 9, 8, 8, 8, 8, 255)
}

func TestWhatIsAskedIsLongEnoughForRelays(t *testing.T) {
	asked := &Lease{Address: net.IPv4(10, 0, 0, 7), Server: net.IPv4(10, 0, 0, 1)}
	for _, message := range [][]byte{
		dhcpMessage(dhcpDiscover, testMAC, 7, nil), dhcpMessage(dhcpRequest, testMAC, 7, asked),
	} {
		if len(message) < 300 || !bytes.Contains(message[dhcpFixed:], append([]byte{61, 7, 1}, testMAC...)) {
			t.Errorf("%d bytes: %v", len(message), message)
		}
	}
}

func TestAnOfferIsReadWhole(t *testing.T) {
	lease, err := readDHCP(offer(7), dhcpOffer, testMAC, 7)
	if err != nil {
		t.Fatal(err)
	}
	if lease.Address.String() != "10.0.0.7" || lease.Router.String() != "10.0.0.254" || lease.Server.String() != "10.0.0.1" ||
		len(lease.DNS) != 2 || lease.Mask.String() != "255.255.0.0" {
		t.Fatal(lease)
	}
}

func TestAnswersToOthersAndBrokenOnesAreNotTaken(t *testing.T) {
	whole := offer(7)
	for size := range len(whole) - 1 {
		// Whatever is cut off, nothing breaks; the options that are needed come first.
		_, _ = readDHCP(whole[:size], dhcpOffer, testMAC, 7)
	}
	if _, err := readDHCP(whole[:dhcpFixed+3], dhcpOffer, testMAC, 7); err == nil {
		t.Error("an offer without a server was taken")
	}
	if _, err := readDHCP(whole, dhcpOffer, testMAC, 8); err == nil {
		t.Error("an answer to somebody else was taken")
	}
	if _, err := readDHCP(whole, dhcpAck, testMAC, 7); err == nil {
		t.Error("an offer was taken for a lease")
	}
}
