package webconfig

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// lookEvery is how often the files are looked at, at most.
const lookEvery = time.Second

// Live is the file as it stands: it is read again when it, or a certificate that it
// names, has changed. A file that has become wrong is logged, and what it said before
// goes on counting. It is safe for concurrent use and has no goroutine: it looks when
// it is asked.
type Live struct {
	path      string
	log       *slog.Logger
	vet       func(*File) error
	passwords *passwords
	file      atomic.Pointer[File]

	mu     sync.Mutex
	looked time.Time
	seen   []stamp // of what was read last, right or wrong
}

// NewLive begins with what [Load] returned for the path. vet says what is wrong with
// a file that is read later; nil takes all that Load takes.
func NewLive(path string, first *File, vet func(*File) error, log *slog.Logger) *Live {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	l := &Live{path: path, log: log, vet: vet, passwords: newPasswords(), looked: time.Now(), seen: first.stamps}
	l.file.Store(first)
	return l
}

// Replace takes over what was loaded elsewhere.
func (l *Live) Replace(f *File) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen, l.looked = f.stamps, time.Now()
	l.file.Store(f)
}

// File is what counts now.
func (l *Live) File() *File {
	if !l.mu.TryLock() {
		return l.file.Load() // somebody looks
	}
	defer l.mu.Unlock()
	if now := time.Now(); now.Sub(l.looked) >= lookEvery {
		l.looked = now
		if slices.ContainsFunc(l.seen, func(s stamp) bool { return !s.same(look(s.path)) }) {
			l.again()
		}
	}
	return l.file.Load()
}

// again reads the file. The caller holds l.mu.
func (l *Live) again() {
	f, problems := load(l.path)
	l.seen = f.stamps // of a wrong file too, so that it is told once
	for _, p := range problems {
		if p.Warning {
			l.log.Warn("web config warning", "problem", p.String())
		} else {
			l.log.Error("web config not read again, the old one stays", "problem", p.String())
		}
	}
	if problems.Fatal() != nil {
		return
	}
	if l.vet != nil {
		if err := l.vet(f); err != nil {
			l.log.Error("web config not read again, the old one stays", "file", l.path, "error", err)
			return
		}
	}
	l.file.Store(f)
	l.log.Info("web config read again", "file", l.path, "users", len(f.users))
}

var errNoTLS = errors.New("the web config file has no certificate any more")

// ServerTLS is the server's side of TLS, which follows the file.
func (l *Live) ServerTLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		if f := l.File(); f.tls != nil {
			return f.tls, nil
		}
		return nil, errNoTLS
	}}
}

// Any tells whether anybody can send alerts by what the file says.
func (l *Live) Any() bool { return l.File().Any() }

// Password tells whether the password is the user's. It may take a second. The error
// wraps [backout.ErrUnavailable]: ask again.
func (l *Live) Password(ctx context.Context, name, password string) (bool, error) {
	return l.passwords.check(ctx, l.File(), name, password)
}

// Certificate is [File.Certificate], now.
func (l *Live) Certificate(chain []*x509.Certificate) (name string, ok bool) {
	return l.File().Certificate(chain, time.Now())
}

// stamp is how a file looked.
type stamp struct {
	path    string
	info    os.FileInfo
	size    int64
	regular bool
	err     error
}

// look follows links, as those that change certificates swap them.
func look(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{path: path, err: err}
	}
	return stamp{path: path, info: info, size: info.Size(), regular: info.Mode().IsRegular()}
}

func (s stamp) same(o stamp) bool {
	if s.err != nil || o.err != nil {
		return s.err != nil && o.err != nil
	}
	return os.SameFile(s.info, o.info) && s.size == o.size && s.info.ModTime().Equal(o.info.ModTime())
}
