package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/backout-io/backout"
)

// CheckKey says why the key could not be used: it must be a private key in PEM
// without a passphrase. The error never tells any of it.
func CheckKey(key backout.Secret) error {
	_, err := parseKey(key)
	return err
}

func parseKey(key backout.Secret) (ssh.Signer, error) {
	signer, err := ssh.ParsePrivateKey([]byte(key.Reveal()))
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		return nil, errors.New("ssh.key has a passphrase: use a key without one, kept readable by backout only")
	case err != nil:
		return nil, errors.New("ssh.key is not a private key in PEM (ssh-keygen -t ed25519 makes one)")
	}
	return signer, nil
}

// CheckKnownHosts says why the file could not be used: it must be in the format
// of OpenSSH, sshd(8). The error names the line.
func CheckKnownHosts(path string) error {
	_, err := readKnownHosts(path)
	return err
}

func readKnownHosts(path string) (ssh.HostKeyCallback, error) {
	check, err := knownhosts.New(path)
	if err != nil {
		return nil, fmt.Errorf("read ssh.known_hosts: %w", err)
	}
	return check, nil
}

// knownHosts is the file of host keys as it was read last: for a thousand dials at
// once it is read once. A file that has changed, or was changed so lately that its
// time cannot tell, is read again.
type knownHosts struct {
	mu          sync.Mutex
	info        os.FileInfo
	readAt      time.Time
	check       ssh.HostKeyCallback
	authorities map[int]bool
}

// settled is how old a change must have been when the file was read: a second one
// may have the same time, and the same size.
const settled = 2 * time.Second

func (k *knownHosts) read(path string) (ssh.HostKeyCallback, map[int]bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := time.Now()
	now, err := os.Stat(path)
	if err == nil && k.info != nil && os.SameFile(now, k.info) && now.ModTime().Equal(k.info.ModTime()) && now.Size() == k.info.Size() &&
		k.readAt.Sub(now.ModTime()) > settled {
		return k.check, k.authorities, nil
	}
	k.info = nil
	check, err := readKnownHosts(path)
	if err != nil {
		return nil, nil, err
	}
	authorities, err := authorityLines(path)
	if err != nil {
		return nil, nil, err
	}
	k.info, k.readAt, k.check, k.authorities = now, at, check, authorities
	return check, authorities, nil
}

// clientConfig reads known_hosts and asks the target for a key of the kinds
// that stand there, since it may have others.
func (n *Network) clientConfig(address string) (*ssh.ClientConfig, error) {
	check, authorities, err := n.known.read(n.o.KnownHosts)
	if err != nil {
		return nil, backout.Permanent(err)
	}
	names, err := algorithms(check, address, n.o.KnownHosts, authorities)
	if err != nil {
		return nil, err
	}
	return &ssh.ClientConfig{
		User:              n.o.User,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(n.signer)},
		HostKeyCallback:   check,
		HostKeyAlgorithms: names,
	}, nil
}

// noKey matches no line of a file, so that the check's error lists them all.
type noKey struct{}

func (noKey) Type() string                        { return "none" }
func (noKey) Marshal() []byte                     { return []byte("none") }
func (noKey) Verify([]byte, *ssh.Signature) error { return errors.New("not a key") }

// algorithms are those of the address's keys, and all when there is none: the
// check refuses then. Those of host certificates are never among them, since the
// check does not tell a host that has only an authority from one with a key.
func algorithms(check ssh.HostKeyCallback, address, file string, authorities map[int]bool) ([]string, error) {
	var unknown *knownhosts.KeyError
	if err := check(address, &net.TCPAddr{IP: net.IPv4zero}, noKey{}); !errors.As(err, &unknown) || len(unknown.Want) == 0 {
		all := ssh.SupportedAlgorithms().HostKeys
		return slices.DeleteFunc(all, func(name string) bool { return strings.Contains(name, "-cert-") }), nil
	}
	var names []string
	for _, k := range unknown.Want {
		if authorities[k.Line] {
			continue
		}
		switch kind := k.Key.Type(); kind {
		case ssh.KeyAlgoRSA:
			names = append(names, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		default:
			names = append(names, kind)
		}
	}
	if names == nil {
		host, port, _ := net.SplitHostPort(address)
		return nil, refused("%s:%d has %s under @cert-authority, and host certificates are not supported: run \"ssh-keyscan -p %s %s\", compare the key's "+
			"fingerprint with the one shown on the host's console (ssh-keygen -lf), and add the line to the file", file, unknown.Want[0].Line, address, port, host)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// authorityLines are the numbers of the lines that name an authority for
// certificates, not a host's key.
func authorityLines(file string) (map[int]bool, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read ssh.known_hosts: %w", err)
	}
	lines, number := map[int]bool{}, 0
	for line := range strings.Lines(string(data)) {
		number++
		lines[number] = strings.HasPrefix(strings.TrimLeft(line, " \t"), "@cert-authority")
	}
	return lines, nil
}

// explain says what to do about a handshake that failed.
func explain(ctx context.Context, err error, address string, o Options) error {
	var key *knownhosts.KeyError
	var revoked *knownhosts.RevokedError
	host, port, _ := net.SplitHostPort(address)
	switch {
	case errors.As(err, &key) && len(key.Want) == 0:
		return refused("the host key of %s is not known: run \"ssh-keyscan -p %s %s\", compare the key's fingerprint with the one shown on "+
			"the host's console (ssh-keygen -lf), and add the line to %s: %w", address, port, host, o.KnownHosts, err)
	case errors.As(err, &key):
		return refused("the host key of %s is not the one in %s:%d: somebody may be listening in between, or the host was rebuilt; "+
			"compare fingerprints before you replace the line: %w", address, key.Want[0].Filename, key.Want[0].Line, err)
	case errors.As(err, &revoked):
		return refused("the host key of %s is revoked in %s: %w", address, o.KnownHosts, err)
	case strings.Contains(err.Error(), "unable to authenticate"):
		return refused("%s does not let user %s in with ssh.key: add its public key to the user's authorized_keys: %w", address, o.User, err)
	case strings.Contains(err.Error(), "no common algorithm for host key"):
		return refused("%s has no host key of a kind that %s knows for it: %w", address, o.KnownHosts, err)
	}
	return unreachable(ctx, err)
}

// dropped tells a connection that the far end ended in the handshake.
func dropped(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// refused is an answer that trying again does not change.
func refused(format string, args ...any) error { return backout.Permanent(fmt.Errorf(format, args...)) }
