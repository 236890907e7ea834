package checks

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/plugin"
)

// Options are what checks need beside their own section.
type Options struct {
	// PrometheusURL is asked by promql checks, with PrometheusToken as bearer
	// token if there is one. Empty: plans with promql checks are refused.
	PrometheusURL   string
	PrometheusToken backout.Secret
}

// All returns every check type.
func All(o Options) []Kind {
	return []Kind{commandKind(), httpKind(), promqlKind(o), unitKind()}
}

// NewRegistry refuses two types of one name.
func NewRegistry(kinds ...Kind) (*Registry, error) { return plugin.NewRegistry(kinds...) }

func green(format string, args ...any) Result {
	return Result{Green: true, Detail: oneLine(fmt.Sprintf(format, args...))}
}

func red(format string, args ...any) Result {
	return Result{Detail: oneLine(fmt.Sprintf(format, args...))}
}

// oneLine keeps what a target or server said to one printable line.
func oneLine(s string) string {
	const most = 300
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "�"), func(r rune) bool { return r < ' ' || r == 0x7f }), " ")
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most]) + "…"
	}
	return s
}

// plain is what a target's name and address may hold, so that put anywhere they
// stay what they are: the characters of host names and IP addresses.
var plain = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._:-]{0,251}[A-Za-z0-9])?$`)

// names returns the values of the placeholders {target} and {address}. The
// address is without the port, which is that of the transport.
func names(t backout.Target) (target, address string, err error) {
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
