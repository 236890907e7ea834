package promql

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"

	"github.com/backout-io/backout"
)

// Fill puts the names in as text of string literals. The lexical rules are
// those of Prometheus: strings in " and ' take escapes, those in ` do not; # begins
// a comment.
func Fill(query, target, address string) (string, error) {
	var b strings.Builder
	quote := byte(0)
	for i := 0; i < len(query); i++ {
		c := query[i]
		value, width := "", 0
		switch {
		case strings.HasPrefix(query[i:], "{target}"):
			value, width = target, len("{target}")
		case strings.HasPrefix(query[i:], "{address}"):
			value, width = address, len("{address}")
		}
		switch {
		case width > 0 && quote == '`':
			return "", errors.New("a placeholder cannot stand in a string in backquotes: use double quotes")
		case width > 0 && quote == '#':
			b.WriteString("-")
			i += width - 1
		case width > 0:
			text := strconv.Quote(value)
			if quote != 0 {
				text = strings.ReplaceAll(text[1:len(text)-1], "'", `\'`)
			}
			b.WriteString(text)
			i += width - 1
		case quote == '#':
			if c == '\n' {
				quote = 0
			}
			b.WriteByte(c)
		case c == '\\' && quote != 0 && quote != '`' && i+1 < len(query):
			b.WriteByte(c)
			i++
			b.WriteByte(query[i])
		default:
			switch {
			case quote == c:
				quote = 0
			case quote == 0 && strings.IndexByte("\"'`#", c) >= 0:
				quote = c
			}
			b.WriteByte(c)
		}
	}
	if quote != 0 && quote != '#' {
		return "", fmt.Errorf("the string that begins with %c does not end", quote)
	}
	return b.String(), nil
}

// plain is what a target's name and address may hold, so that put anywhere they
// stay what they are: the characters of host names and IP addresses.
var plain = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._:-]{0,251}[A-Za-z0-9])?$`)

// Names returns the values of the placeholders {target} and {address}. The
// address is without the port, which is that of the transport.
func Names(t backout.Target) (target, address string, err error) {
	address = t.Address
	if address == "" {
		address = t.Name
	}
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	if ip := net.ParseIP(strings.Trim(address, "[]")); ip != nil {
		address = ip.String()
	} else if !plain.MatchString(address) || strings.Contains(address, ":") {
		return "", "", errors.New("the target's address is not a host name or IP address")
	}
	if !plain.MatchString(t.Name) {
		return "", "", errors.New("the target's name has characters that names do not have")
	}
	return t.Name, address, nil
}
