package capture

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/backout-io/backout"
)

// readPorts keeps what listened at both ends of the look: the socket of one question
// to a name server is no listener.
func readPorts(said sections, inv *backout.Inventory) error {
	low, high, err := ephemeral(said)
	if err != nil {
		return err
	}
	before, err := sockets(said, "sockets-before")
	if err != nil {
		return err
	}
	after, err := sockets(said, "sockets-after")
	if err != nil {
		return err
	}
	for _, p := range after {
		client := p.Protocol == "udp" && p.Port >= low && p.Port <= high
		if !client && slices.Contains(before, p) && !slices.Contains(inv.Ports, p) {
			inv.Ports = append(inv.Ports, p)
		}
	}
	return nil
}

// ephemeral is the range from which the kernel gives ports to clients.
func ephemeral(said sections) (low, high int, err error) {
	lines, err := said.lines("range", backout.PartPorts, "/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return 0, 0, err
	}
	text := strings.Join(lines, " ")
	if n, err := fmt.Sscan(text, &low, &high); n != 2 || err != nil {
		return 0, 0, unparsed(backout.PartPorts, "/proc/sys/net/ipv4/ip_local_port_range", text)
	}
	return low, high, nil
}

// sockets reads lines of protocol, state and address: TCP that listens (0A), UDP
// that is bound and not connected (07).
func sockets(said sections, name string) ([]backout.Port, error) {
	lines, err := said.lines(name, backout.PartPorts, "/proc/net")
	if err != nil {
		return nil, err
	}
	var ports []backout.Port
	for _, line := range lines {
		f := strings.Fields(line)
		if len(f) != 3 {
			return nil, unparsed(backout.PartPorts, "/proc/net", line)
		}
		protocol := strings.TrimSuffix(f[0], "6")
		want, known := map[string]string{"tcp": "0A", "udp": "07"}[protocol]
		if !known {
			return nil, unparsed(backout.PartPorts, "/proc/net", line)
		}
		if want != f[1] {
			continue
		}
		host, text, ok := strings.Cut(f[2], ":")
		port, err := strconv.ParseUint(text, 16, 16)
		address, whole := kernelAddress(host)
		if !ok || err != nil || !whole {
			return nil, unparsed(backout.PartPorts, "/proc/net/"+f[0], line)
		}
		ports = append(ports, backout.Port{Protocol: protocol, Address: address, Port: int(port)})
	}
	return ports, nil
}

// kernelAddress reads an address as /proc/net has it: words of 32 bits in the order
// of the machine, which is little-endian wherever this runs.
func kernelAddress(text string) (string, bool) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != 4 && len(raw) != 16 {
		return "", false
	}
	for word := range slices.Chunk(raw, 4) {
		slices.Reverse(word)
	}
	a, ok := netip.AddrFromSlice(raw)
	return a.String(), ok
}
