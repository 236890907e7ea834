package rules

import "strings"

// Host reduces the value of a target label to the name of the host: the port of
// host:port goes, and so do the brackets of an IPv6 address and the scheme, user
// and path of a URL.
//
//	web-1:9100                  web-1
//	[2001:db8::1]:9100          2001:db8::1
//	2001:db8::1                 2001:db8::1
//	https://web-1:8443/health   web-1
//
// What it does not recognise is returned as it is.
func Host(value string) string {
	host := value
	if _, rest, ok := strings.Cut(value, "://"); ok {
		if end := strings.IndexAny(rest, "/?#"); end >= 0 {
			rest = rest[:end]
		}
		host = rest[strings.LastIndexByte(rest, '@')+1:]
	}
	if strings.HasPrefix(host, "[") {
		inner, tail, ok := strings.Cut(host[1:], "]")
		if ok && (tail == "" || isPort(tail)) {
			return inner
		}
		return host
	}
	// A second colon means an IPv6 address without brackets: it has no port.
	if i := strings.IndexByte(host, ':'); i > 0 && isPort(host[i:]) {
		return host[:i]
	}
	return host
}

// isPort tells whether s is a colon and one to five digits.
func isPort(s string) bool {
	if len(s) < 2 || len(s) > 6 || s[0] != ':' {
		return false
	}
	for i := 1; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
