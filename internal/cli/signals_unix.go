//go:build unix

package cli

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// forwarded are the signals that a patch command gets when we do.
var forwarded = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2}

// reloadSignals ask serve to read its files again.
var reloadSignals = []os.Signal{syscall.SIGHUP}

// fromTerminal tells whether the terminal has sent the signal to the patch
// command too: Ctrl-C and Ctrl-\ go to every process in the foreground. Passing
// them on would deliver them twice, and package managers take a second Ctrl-C for
// a wish to abort hard.
func fromTerminal(s os.Signal) bool {
	if s != syscall.SIGINT && s != syscall.SIGQUIT {
		return false
	}
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer func() { _ = tty.Close() }()
	foreground, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && foreground == unix.Getpgrp()
}
