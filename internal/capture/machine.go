package capture

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/backout-io/backout"
)

func readMachine(said sections, m *backout.Machine) error {
	release, err := said.lines("release", "machine", "cat /etc/os-release")
	if err != nil {
		return err
	}
	m.OS = "linux" // as os-release(5) says
	for _, line := range release {
		switch name, value, _ := strings.Cut(line, "="); name {
		case "ID":
			m.OS = plain(unquote(value))
		case "VERSION_ID":
			m.Version = plain(unquote(value))
		}
	}
	lines, err := said.lines("machine", "machine", "uname")
	if err != nil {
		return err
	}
	fields := map[string]*string{
		"hostname": &m.Hostname, "kernel": &m.Kernel, "build": &m.Build, "arch": &m.Arch, "boot_id": &m.BootID, "machine_id": &m.MachineID, "init": &m.Init,
		"cmdline": &m.Cmdline,
	}
	for _, line := range lines {
		name, value := pair(line)
		field, ok := fields[name]
		if !ok {
			return unparsed("machine", "uname", line)
		}
		*field = plain(value)
		if name == "cmdline" {
			sum := sha256.Sum256([]byte(value))
			*field = hex.EncodeToString(sum[:])
		}
	}
	for _, name := range []string{"hostname", "kernel", "arch", "boot_id", "init"} {
		if *fields[name] == "" {
			return invalid("look at machine: the target does not say its %s: are uname and /proc there?", name)
		}
	}
	return nil
}

// unquote takes the quotes of a value of os-release off.
func unquote(s string) string {
	s = strings.TrimSpace(s)
	if n := len(s); n >= 2 && (s[0] == '"' || s[0] == '\'') && s[n-1] == s[0] {
		return s[1 : n-1]
	}
	return s
}
