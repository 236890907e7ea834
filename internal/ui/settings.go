package ui

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// Settings is how the server and what it leans on are, and what is of the person who
// looks.
type Settings struct {
	// Checks are what was looked at. Examined is when other systems were asked too, zero
	// when they were not; MayExamine tells that whoever looks may have them asked.
	Checks     []Check
	Examined   time.Time
	MayExamine bool
	// Waiting are notices that have not arrived, what was given up first; MoreWaiting how
	// many more there are. NoNotices says why they are not known.
	Waiting     []WaitingNotice
	MoreWaiting int
	NoNotices   string
	Runners     []Runner
	// Targets are those of the inventory that may be seen, by how they are reached.
	Targets []Reached
	// You is who looks, Roles what they may do.
	You   string
	Roles []string
	// Tokens are their API tokens that work, Ended those that do not any more; MoreEnded
	// how many more of these there are. NoTokens says why none is known.
	Tokens, Ended []Token
	MoreEnded     int
	NoTokens      string
}

// Check says how one thing is.
type Check struct {
	// Kind is what it is, Name tells it from others of its kind.
	Kind, Name string
	// State is well, doubtful or broken.
	State string
	// Says is what was found, Since when it was seen last or began, Do what to do.
	Says  string
	Since time.Time
	Do    string
}

// Heading is what people call the kind.
func (c Check) Heading() string {
	headings := map[string]string{
		"config": "Config", "store": "Store", "monitoring": "Monitoring", "channel": "Channel", "runner": "Runner", "target": "Target",
		"pause": "Pause switch", "clock": "Clock", "rule": "Rules", "rules": "Rules", "notices": "Notices",
	}
	return cmp.Or(headings[c.Kind], c.Kind)
}

// WaitingNotice is a notice that has not arrived.
type WaitingNotice struct {
	Channel string
	// State is given_up or sending.
	State      string
	Moment     backout.Moment
	ChangeID   string
	RollbackID string
	// Made is when it was written, Tried when it was tried last.
	Made, Tried time.Time
	Tries       int
	Error       string
}

// Runner is a runner near the targets.
type Runner struct {
	Name, Site, Release string
	Alive               bool
	// LastSeen is set when it is not alive: one that is gives a sign every few seconds.
	LastSeen       time.Time
	Running, Slots int
}

// State is how the runner is.
func (r Runner) State() string {
	if r.Alive {
		return "well"
	}
	return "broken"
}

// Reached is how many targets are reached in the same way.
type Reached struct {
	Transport string
	Count     int
}

// Token is an API token of the person who looks.
type Token struct {
	ID, Note string
	// State is active, expired, revoked or ended.
	State    string
	Roles    []string
	Made     time.Time
	Expires  time.Time
	LastUsed time.Time
	Revoked  time.Time
	// MayRevoke tells that it can be ended from here.
	MayRevoke bool
}

// Page implements [Content].
func (Settings) Page() string { return "settings" }

// Title implements [Content].
func (s Settings) Title() string {
	if broken := s.count("broken"); broken > 0 {
		return "settings: " + plural(broken, "thing") + " broken"
	}
	return "settings"
}

// Tone is how bad things are.
func (s Settings) Tone() string {
	switch {
	case s.count("broken") > 0:
		return bad
	case s.count("doubtful") > 0:
		return wait
	}
	return good
}

// Sum says in a few words how everything is.
func (s Settings) Sum() string {
	var parts []string
	if n := s.count("broken"); n > 0 {
		parts = append(parts, plural(n, "thing")+" broken")
	}
	if n := s.count("doubtful"); n > 0 {
		parts = append(parts, plural(n, "thing")+" doubtful")
	}
	switch {
	case len(parts) > 0:
		return strings.Join(parts, ", ")
	case !s.Examined.IsZero():
		return "Everything is well, and other systems say so too"
	}
	return "Nothing is known to be wrong"
}

func (s Settings) count(state string) (n int) {
	for _, c := range s.Checks {
		if c.State == state {
			n++
		}
	}
	return n
}

// Inventory is how many targets there are.
func (s Settings) Inventory() (n int) {
	for _, t := range s.Targets {
		n += t.Count
	}
	return n
}

// SortChecks puts what is broken first, then what is doubtful.
func SortChecks(checks []Check) {
	weight := func(c Check) int { return slices.Index([]string{"broken", "doubtful", "well"}, c.State) }
	slices.SortStableFunc(checks, func(a, b Check) int { return cmp.Compare(weight(a), weight(b)) })
}

// RoleWords are grants in words.
func RoleWords(grants []backout.Grant) []string {
	out := make([]string, 0, len(grants))
	for _, g := range grants {
		where := "nowhere"
		switch {
		case g.Everywhere:
			where = "everywhere"
		case len(g.Labels) > 0:
			where = "where " + labelWords(g.Labels)
		}
		out = append(out, string(g.Role)+" "+where)
	}
	return out
}

func labelWords(labels map[string]string) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		words = append(words, name+"="+labels[name])
	}
	return strings.Join(words, ", ")
}
