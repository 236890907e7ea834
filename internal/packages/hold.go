package packages

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/backout-io/backout"
)

//go:embed hold.sh
var holdScript string

// Front is the program whose locks keep a version from coming back.
type Front string

// The fronts. What their locks hold differs: those of dnf, dnf5, yum and zypper
// are on exactly the bad version, so that a later and better one can come; the hold
// of apt is on the package, and nothing newer comes until it is released.
const (
	// FrontAny is what the target's system is managed with: apt, zypper or dnf.
	FrontAny Front = "any"
	// FrontRPM is the one that the target's packages are managed with: zypper on
	// SUSE, else dnf, dnf5 or yum, whichever is there.
	FrontRPM Front = "rpm"
	// FrontDNF is dnf, dnf5 or yum, whichever is there.
	FrontDNF    Front = "dnf"
	FrontZypper Front = "zypper"
	FrontAPT    Front = "apt"
)

// HoldVerb is what is to be done with locks.
type HoldVerb string

// The verbs. Each may be repeated, and continues one that was killed half way.
const (
	// HoldPlace locks every version. The target keeps a record of the locks that
	// were placed for the change, so that those which were there before stay when
	// it releases its own.
	HoldPlace HoldVerb = "place"
	// HoldLook changes nothing: it reads which of the versions are locked.
	HoldLook HoldVerb = "look"
	// HoldRelease releases every lock that was placed for the change; it needs no
	// packages. A lock that another change has placed too stays until that one
	// releases it.
	HoldRelease HoldVerb = "release"
)

// HoldNoLocks is the exit code of the script where the front cannot lock: what is
// missing is in its last line.
const HoldNoLocks = 3

// Hold is the command line for the verb: root must run it. Place and release are
// effects and belong into an attempt; look is for Run. The versions that are held
// are the changes' To; changes without one are left out, as are, for apt, packages
// that will not be installed. They must have passed [Check].
func Hold(verb HoldVerb, front Front, change string, changes []backout.PackageChange) backout.Exec {
	return backout.Exec{Argv: append([]string{"sh", "-c", holdScript, "sh"}, HoldArgs(verb, front, change, changes)...)}
}

// HoldArgs are the arguments of [HoldScript].
func HoldArgs(verb HoldVerb, front Front, change string, changes []backout.PackageChange) []string {
	args := []string{string(verb), string(front), change}
	for _, c := range Bad(changes) {
		if front == FrontAPT && c.From == "" {
			continue
		}
		args = append(args, c.Name, c.To, c.Arch)
	}
	return args
}

// HoldScript is the text of the script that [Hold] runs, for executors which run it
// within one of their own: HOLD=$1; sh -c "$HOLD" sh ARGS.
func HoldScript() string { return holdScript }

// Lock is one line of what the script says.
type Lock struct {
	// Name is what the front's own list calls it.
	Name string
	// Held tells whether it is there, Ours whether it was placed for the change.
	Held, Ours bool
}

// ParseLocks reads what place or look said; other lines are left out, since an
// attempt's output has those of the front too. It is an error when there are fewer
// than want.
func ParseLocks(output []byte, want int) ([]Lock, error) {
	var locks []Lock
	for line := range strings.Lines(string(output)) {
		text, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "backout-lock ")
		if !ok {
			continue
		}
		state, name, ok := strings.Cut(text, " ")
		if !ok || !slices.Contains([]string{"ours", "before", "free"}, state) {
			return nil, fmt.Errorf("the list of locks cannot be read: %q", line)
		}
		locks = append(locks, Lock{Name: name, Held: state != "free", Ours: state == "ours"})
	}
	if len(locks) < want {
		return nil, fmt.Errorf("the list of locks has %d of %d", len(locks), want)
	}
	return locks, nil
}

// HoldCount is how many locks [Hold] is about.
func HoldCount(front Front, changes []backout.PackageChange) int {
	return (len(HoldArgs(HoldLook, front, "", changes)) - 3) / 3
}

// Ours are the names of the locks that were placed for the change.
func Ours(locks []Lock) []string {
	var names []string
	for _, l := range locks {
		if l.Held && l.Ours {
			names = append(names, l.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Free are the names of those that are not there.
func Free(locks []Lock) []string {
	var names []string
	for _, l := range locks {
		if !l.Held {
			names = append(names, l.Name)
		}
	}
	return names
}

// Explain adds to an error the reason that the script gave as its last word.
func Explain(err error, output []byte) error {
	if err == nil {
		return nil
	}
	reason := ""
	for line := range strings.Lines(string(output)) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "backout: "); ok {
			reason = text
		}
	}
	if reason == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, reason)
}
