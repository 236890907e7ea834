//go:build !linux

package main

import (
	"errors"
	"os"
)

func openTerminal(uint16, uint16) (control, tty *os.File, err error) {
	return nil, nil, errors.New("only on Linux")
}
