package webconfig

import (
	"fmt"
	"maps"
	"slices"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/password"
)

func (l *loader) users(users map[string]string) {
	const how = `make one with: htpasswd -nBC 12 "" | tr -d ':\n'`
	l.file.users = make(map[string]backout.Secret, len(users))
	for _, name := range slices.Sorted(maps.Keys(users)) {
		at := []any{"basic_auth_users", name}
		if !nameable(name) {
			l.problem(fmt.Sprintf("%q cannot name a sender", name), "use 1 to 253 printable characters, no colon", at...)
			continue
		}
		hash := users[name]
		cost, err := password.Cost(hash)
		switch {
		case err != nil:
			l.problem(fmt.Sprintf("the password of %q is not a bcrypt hash", name), how, at...)
			continue
		case cost > password.MostCost:
			l.problem(fmt.Sprintf("the hash of %q has cost %d: everybody would wait for it", name, cost), fmt.Sprintf("use at most %d; %s", password.MostCost, how), at...)
			continue
		case password.Matches(hash, ""):
			l.problem(fmt.Sprintf("the password of %q is empty", name), how, at...)
			continue
		case cost < password.LeastCost:
			l.warn(fmt.Sprintf("the hash of %q has cost %d and is quickly guessed by who gets hold of it", name, cost), how, at...)
		}
		l.file.users[name] = backout.SecretValue(hash)
		l.file.names = append(l.file.names, name)
	}
}
