// Package secret fetches the values of secrets from where config files say they
// are kept: a file, an environment variable, a systemd credential.
//
// Its errors name the place and what to do, never the value.
package secret

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/backout-io/backout"
)

// MaxBytes is the longest secret: an SSH key takes about 3 KiB.
const MaxBytes = 64 << 10

// Reader reads secrets. The zero value reads this process' environment, with
// relative files from the working directory.
type Reader struct {
	// Dir is what relative files are relative to: the config file's directory.
	Dir string
	// LookupEnv replaces [os.LookupEnv] when set.
	LookupEnv func(string) (string, bool)
}

// Read returns the secret kept at ref. One line end at its end is not part of
// it.
//
// A file that everyone may read, or others may write, is refused: a secret
// there is none. An empty secret is refused: it would match an empty token.
func (r Reader) Read(ref backout.SecretRef) (string, error) {
	if err := ref.Validate(); err != nil {
		return "", err
	}
	var value string
	var err error
	switch {
	case ref.File != "":
		path := ref.File
		if !filepath.IsAbs(path) {
			path = filepath.Join(r.Dir, path)
		}
		value, err = readFile(path, true)
	case ref.Env != "":
		value, err = r.env(ref.Env)
	default:
		value, err = r.credential(ref.Credential)
	}
	if err != nil {
		return "", err
	}
	value = strings.TrimSuffix(strings.TrimSuffix(value, "\n"), "\r")
	if value == "" {
		return "", fmt.Errorf("the secret of %s is empty", describe(ref))
	}
	return value, nil
}

func (r Reader) lookup(name string) (string, bool) {
	if r.LookupEnv != nil {
		return r.LookupEnv(name)
	}
	return os.LookupEnv(name)
}

func (r Reader) env(name string) (string, error) {
	value, ok := r.lookup(name)
	if !ok {
		return "", fmt.Errorf("the environment has no %s: set it where backout is started", name)
	}
	return value, nil
}

// credential reads what systemd put into $CREDENTIALS_DIRECTORY
// (systemd.exec(5), LoadCredential=). Who may read it is systemd's affair.
func (r Reader) credential(name string) (string, error) {
	dir, ok := r.lookup("CREDENTIALS_DIRECTORY")
	if !ok || dir == "" {
		return "", fmt.Errorf("no systemd credentials here to find %q in: start backout as a service with LoadCredential=%s:PATH", name, name)
	}
	if name != filepath.Base(name) || name == "." || name == ".." {
		return "", fmt.Errorf("credential %q: a name without slashes is wanted", name)
	}
	value, err := readFile(filepath.Join(dir, name), false)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("systemd passed no credential %q: add LoadCredential=%s:PATH to the service", name, name)
	}
	return value, err
}

func readFile(path string, private bool) (string, error) {
	// Without O_NONBLOCK opening a FIFO would wait for its writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("secret %s: not a regular file", path)
	}
	if mode := info.Mode().Perm(); private && mode&0o007 != 0 {
		return "", fmt.Errorf("secret %s: everyone on this machine may use it (mode %04o): chmod o= %s", path, mode, path)
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxBytes+1))
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	if len(data) > MaxBytes {
		return "", fmt.Errorf("secret %s: longer than %d KiB", path, MaxBytes>>10)
	}
	return string(data), nil
}

func describe(ref backout.SecretRef) string {
	switch {
	case ref.File != "":
		return "file " + ref.File
	case ref.Env != "":
		return "environment variable " + ref.Env
	}
	return "credential " + ref.Credential
}
