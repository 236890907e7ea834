package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// savedSession is a session on this machine, for one server.
type savedSession struct {
	Name  string    `json:"name"`
	Token string    `json:"token"`
	Ends  time.Time `json:"ends"`
}

// sessionsFile is where sessions are kept: for the user alone. "" when the environment
// names no home.
func (p *program) sessionsFile() string {
	for _, place := range []struct{ env, below string }{{"XDG_CONFIG_HOME", ""}, {"HOME", ".config"}, {"APPDATA", ""}} {
		if dir := p.Getenv(place.env); filepath.IsAbs(dir) {
			return filepath.Join(dir, place.below, "backout", "sessions.json")
		}
	}
	return ""
}

// savedSessions are by the address of their server.
func (p *program) savedSessions() (map[string]savedSession, error) {
	path := p.sessionsFile()
	saved := map[string]savedSession{}
	if path == "" {
		return saved, nil
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return saved, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read sessions: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("read sessions: %s can be read or written by others: chmod 600 it, and sign in again", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read sessions: %w", err)
	}
	if err := json.Unmarshal(data, &saved); err != nil {
		return nil, fmt.Errorf("read sessions: %s is damaged: remove it, and sign in again", path)
	}
	return saved, nil
}

// saveSession keeps a session of the server; nil forgets it.
func (p *program) saveSession(s *savedSession) error {
	path := p.sessionsFile()
	if path == "" {
		return errors.New("save session: neither XDG_CONFIG_HOME nor HOME is set, so there is no place for it")
	}
	saved, err := p.savedSessions()
	if err != nil {
		return err
	}
	if delete(saved, p.address()); s != nil {
		saved[p.address()] = *s
	}
	data, err := json.MarshalIndent(saved, "", "  ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err != nil {
		return fmt.Errorf("save session: %w", err)
	}
	// CreateTemp makes a file for its owner alone; the rename replaces the old one whole.
	f, err := os.CreateTemp(filepath.Dir(path), ".sessions-*")
	if err != nil {
		return fmt.Errorf("save session: %w", err)
	}
	_, err = f.Write(append(data, '\n'))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("save session: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// address is the server's as sessions are kept by it.
func (p *program) address() string { return strings.TrimRight(p.server, "/") }

// sessionToken is the token of the session that was saved for the server; none without.
func (p *program) sessionToken() (backout.Secret, error) {
	saved, err := p.savedSessions()
	return backout.SecretValue(saved[p.address()].Token), err
}
