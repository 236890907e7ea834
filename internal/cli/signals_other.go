//go:build !unix

package cli

import "os"

var (
	forwarded     = []os.Signal{os.Interrupt}
	reloadSignals []os.Signal
)

// fromTerminal is true where consoles deliver Ctrl-C to every process anyway.
func fromTerminal(os.Signal) bool { return true }
