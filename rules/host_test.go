package rules

import "testing"

func TestHost(t *testing.T) {
	for value, want := range map[string]string{
		"":                                 "",
		"web-1":                            "web-1",
		"web-1:9100":                       "web-1",
		"web-1.example.net:443":            "web-1.example.net",
		"10.0.0.7:9182":                    "10.0.0.7",
		"10.0.0.7":                         "10.0.0.7",
		"[2001:db8::1]:9100":               "2001:db8::1",
		"[2001:db8::1]":                    "2001:db8::1",
		"[fe80::1%eth0]:9100":              "fe80::1%eth0",
		"2001:db8::1":                      "2001:db8::1",
		"::1":                              "::1",
		"https://web-1:8443/health":        "web-1",
		"http://web-1/health?x=a:1":        "web-1",
		"https://me:secret@web-1:8443/":    "web-1",
		"http://[2001:db8::1]:80/":         "2001:db8::1",
		"web-1:":                           "web-1:",
		"web-1:port":                       "web-1:port",
		"web-1:123456":                     "web-1:123456",
		":9100":                            ":9100",
		"[2001:db8::1":                     "[2001:db8::1",
		"[2001:db8::1]x":                   "[2001:db8::1]x",
		"pod/checkout-5c9":                 "pod/checkout-5c9",
		"two words":                        "two words",
		"web-1:9100\nX-Header: injected":   "web-1:9100\nX-Header: injected",
		"urn:uuid:5d2c4a":                  "urn:uuid:5d2c4a",
		"vm with a colon: and a space:443": "vm with a colon: and a space:443",
	} {
		if got := Host(value); got != want {
			t.Errorf("Host(%q) = %q, want %q", value, got, want)
		}
	}
}
