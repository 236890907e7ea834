// Package password keeps passwords as hashes, by bcrypt, so that a config file that is
// read by others gives no password away: those of local users, and those of senders of
// alerts. It alone knows bcrypt.
package password

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

const (
	// cost makes one guess take about a quarter of a second on a common server.
	cost = 12
	// LeastCost is the cheapest hash that is good, as OWASP's password storage cheat
	// sheet says for bcrypt; MostCost the dearest: each step doubles the time of a login.
	LeastCost, MostCost = 10, 15
	// least is the shortest password that is hashed, in bytes; most what bcrypt takes.
	least, most = 12, 72
)

// Hash returns the hash of a password. It refuses one that is too short to be kept by
// a hash, and one that bcrypt would cut off.
func Hash(password string) (string, error) {
	if len(password) < least || len(password) > most {
		return "", fmt.Errorf("a password has %d to %d bytes, and this one has %d", least, most, len(password))
	}
	return hashAt(password, cost)
}

// Random returns a password of 80 random bits that can be typed, and its hash. Nobody
// guesses it, so the cheapest hash that is good will do.
func Random() (password, hash string, err error) {
	text := strings.ToLower(rand.Text())
	password = strings.Join([]string{text[0:4], text[4:8], text[8:12], text[12:16]}, "-")
	hash, err = hashAt(password, LeastCost)
	return password, hash, err
}

func hashAt(password string, cost int) (string, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), cost)
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	return string(hash), nil
}

// Cost is what a guess at the hash costs, as the power of two that bcrypt takes. Its
// error does not show the hash.
func Cost(hash string) (int, error) {
	n, err := bcrypt.Cost([]byte(hash))
	if err != nil {
		return 0, errors.New("this is no bcrypt hash")
	}
	return n, nil
}

// Valid says what is wrong with a hash, without showing it.
func Valid(hash string) error {
	n, err := Cost(hash)
	switch {
	case err != nil:
		return err
	case n < LeastCost || n > MostCost:
		return fmt.Errorf("a hash of cost %d: %d to %d are taken", n, LeastCost, MostCost)
	}
	return nil
}

// unknown is the hash of nothing anybody knows, of the cost that Hash uses.
const unknown = "$2a$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"

// Matches tells whether the password has the hash. It takes as long when there is no
// hash, so that nobody learns which names exist.
func Matches(hash, password string) bool {
	known := hash
	if known == "" {
		known = unknown
	}
	return bcrypt.CompareHashAndPassword([]byte(known), []byte(password)) == nil && hash != ""
}
