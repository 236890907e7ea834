package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/backout-io/backout"
)

// clientConfig reads known_hosts and asks the target for a key of the kinds
// that stand there, since it may have others.
func (n *Network) clientConfig(address string) (*ssh.ClientConfig, error) {
	check, err := knownhosts.New(n.o.KnownHosts)
	if err != nil {
		return nil, fmt.Errorf("read ssh.known_hosts: %w", err)
	}
	return &ssh.ClientConfig{
		User:              n.o.User,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(n.signer)},
		HostKeyCallback:   check,
		HostKeyAlgorithms: algorithms(check, address),
	}, nil
}

// noKey matches no line of a file, so that the check's error lists them all.
type noKey struct{}

func (noKey) Type() string                        { return "none" }
func (noKey) Marshal() []byte                     { return []byte("none") }
func (noKey) Verify([]byte, *ssh.Signature) error { return errors.New("not a key") }

// algorithms are those of the address's keys; nil, which means all, when there
// is none and the check will refuse, or trust a certificate.
func algorithms(check ssh.HostKeyCallback, address string) []string {
	var unknown *knownhosts.KeyError
	if err := check(address, &net.TCPAddr{IP: net.IPv4zero}, noKey{}); !errors.As(err, &unknown) {
		return nil
	}
	var names []string
	for _, k := range unknown.Want {
		switch kind := k.Key.Type(); kind {
		case ssh.KeyAlgoRSA:
			names = append(names, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		default:
			names = append(names, kind)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
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
