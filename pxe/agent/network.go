package main

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bringUp starts every card and takes the first lease that a DHCP server gives on one of them; it asks until one does.
func bringUp(cards []NIC, say func(string, ...any)) (NIC, *Lease, error) {
	if len(cards) == 0 {
		return NIC{}, nil, failf(noNetworkCard, "this machine has no network card that its kernel knows")
	}
	_ = setFlags("lo")
	for _, card := range cards {
		if err := setFlags(card.Name); err != nil {
			say("%s cannot be used: %v", card.Name, err)
		}
	}
	for tries := 1; ; tries++ {
		for _, card := range cards {
			lease, err := lease(card, 2*time.Second)
			if err != nil {
				continue
			}
			err = use(card, lease)
			if err == nil {
				return card, lease, nil
			}
			// Another card or another server may give what can be used.
			if tries%10 == 1 {
				say("%s: %s cannot be used: %v", card.Name, lease.Address, err)
			}
		}
		if tries%10 == 0 {
			say("no DHCP server has given an address yet")
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// bootedFirst puts the card with this MAC before all others: the one that was booted over leads to the server.
func bootedFirst(cards []NIC, mac string) []NIC {
	for at, card := range cards {
		if mac != "" && strings.EqualFold(card.MAC, mac) {
			return slices.Concat(cards[at:at+1], cards[:at], cards[at+1:])
		}
	}
	return cards
}

// behind begins with the card that follows this one; this one comes last.
func behind(cards []NIC, card NIC) []NIC {
	at := slices.Index(cards, card) + 1
	return slices.Concat(cards[at:], cards[:at])
}

// leave takes a card's address back, and with its last address Linux takes its routes.
func leave(card NIC) error {
	return setAddress(card.Name, unix.SIOCSIFADDR, net.IPv4zero)
}

func lease(card NIC, timeout time.Duration) (*Lease, error) {
	mac, err := net.ParseMAC(card.MAC)
	if err != nil {
		return nil, err
	}
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(socket)
	for _, option := range []int{unix.SO_BROADCAST, unix.SO_REUSEADDR} {
		if err := unix.SetsockoptInt(socket, unix.SOL_SOCKET, option, 1); err != nil {
			return nil, err
		}
	}
	if err := unix.BindToDevice(socket, card.Name); err != nil {
		return nil, err
	}
	if err := unix.Bind(socket, &unix.SockaddrInet4{Port: 68}); err != nil {
		return nil, err
	}
	transaction := newTransaction()
	offer, err := ask(socket, dhcpMessage(dhcpDiscover, mac, transaction, nil), dhcpOffer, mac, transaction, timeout)
	if err != nil {
		return nil, err
	}
	return ask(socket, dhcpMessage(dhcpRequest, mac, transaction, offer), dhcpAck, mac, transaction, timeout)
}

func ask(socket int, message []byte, kind byte, mac net.HardwareAddr, transaction uint32, timeout time.Duration) (*Lease, error) {
	everybody := &unix.SockaddrInet4{Port: 67, Addr: [4]byte{255, 255, 255, 255}}
	if err := unix.Sendto(socket, message, 0, everybody); err != nil {
		return nil, err
	}
	buffer := make([]byte, 1500)
	for until := time.Now().Add(timeout); ; {
		left := time.Until(until)
		if left <= 0 {
			return nil, os.ErrDeadlineExceeded
		}
		wait := unix.NsecToTimeval(max(left.Nanoseconds(), 1_000_000))
		if err := unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
			return nil, err
		}
		size, _, err := unix.Recvfrom(socket, buffer, 0)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		if lease, err := readDHCP(buffer[:size], kind, mac, transaction); err == nil {
			return lease, nil
		}
	}
}

// use gives a card its address and the machine its way out and its name servers.
func use(card NIC, lease *Lease) error {
	if err := setAddress(card.Name, unix.SIOCSIFADDR, lease.Address); err != nil {
		return fmt.Errorf("address: %w", err)
	}
	if err := setAddress(card.Name, unix.SIOCSIFNETMASK, lease.Mask); err != nil {
		return fmt.Errorf("mask: %w", err)
	}
	if lease.Router != nil {
		if err := addRoute(lease.Router); err != nil {
			return fmt.Errorf("route: %w", err)
		}
	}
	lines := []string{}
	for _, one := range lease.DNS {
		lines = append(lines, "nameserver "+one.String()+"\n")
	}
	_ = os.MkdirAll("/etc", 0o755)
	return os.WriteFile("/etc/resolv.conf", []byte(strings.Join(lines, "")), 0o644)
}

func control(request uintptr, argument unsafe.Pointer) error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	if _, _, no := unix.Syscall(unix.SYS_IOCTL, uintptr(socket), request, uintptr(argument)); no != 0 {
		return no
	}
	return nil
}

func setFlags(card string) error {
	request, err := unix.NewIfreq(card)
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return control(unix.SIOCSIFFLAGS, unsafe.Pointer(request))
}

func setAddress(card string, what uintptr, address net.IP) error {
	request, err := unix.NewIfreq(card)
	if err != nil {
		return err
	}
	if err := request.SetInet4Addr(address.To4()); err != nil {
		return err
	}
	return control(what, unsafe.Pointer(request))
}

// rtentry is struct rtentry of linux/route.h on 64-bit machines.
type rtentry struct {
	_       uint64
	dst     unix.RawSockaddrInet4
	gateway unix.RawSockaddrInet4
	mask    unix.RawSockaddrInet4
	flags   uint16
	_       [54]byte
}

func addRoute(router net.IP) error {
	entry := rtentry{flags: unix.RTF_UP | unix.RTF_GATEWAY}
	entry.dst.Family, entry.gateway.Family, entry.mask.Family = unix.AF_INET, unix.AF_INET, unix.AF_INET
	copy(entry.gateway.Addr[:], router.To4())
	err := control(unix.SIOCADDRT, unsafe.Pointer(&entry))
	if err == unix.EEXIST {
		return nil
	}
	return err
}
