package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"
)

// terminal runs a command whose output is a terminal of the given size and writes
// all it was sent to the file "tty": "terminal 0 80x24 backout rollback watch X".
func terminal(ts *testscript.TestScript, neg bool, args []string) {
	var cols, rows uint16
	if neg || len(args) < 3 {
		ts.Fatalf("usage: terminal CODE COLSxROWS COMMAND [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	_, err = fmt.Sscanf(args[1], "%dx%d", &cols, &rows)
	ts.Check(err)
	control, tty, err := openTerminal(cols, rows)
	ts.Check(err)
	cmd := exec.Command(inPath(ts, args[2]), args[3:]...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = tty, tty, ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "TZ", "LANG", "TERM", "NO_COLOR", "BACKOUT_SERVER"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	ts.Check(cmd.Start())
	ts.Check(tty.Close())
	var sent bytes.Buffer
	read := make(chan struct{})
	go func() {
		defer close(read)
		// Linux answers EIO when the last writer is gone.
		_, _ = sent.ReadFrom(control)
	}()
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](cmd.Wait()); ok {
		code = exit.ExitCode()
	}
	<-read
	_ = control.Close()
	ts.Check(os.WriteFile(ts.MkAbs("tty"), sent.Bytes(), 0o600))
	if code != want {
		ts.Fatalf("exit code %d, want %d:\n%s", code, want, sent.String())
	}
}

func inPath(ts *testscript.TestScript, name string) string {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if path := filepath.Join(dir, name); exists(path) {
			return path
		}
	}
	ts.Fatalf("%s is not in PATH", name)
	return ""
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
