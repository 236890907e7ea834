// Package config loads backout.yaml and the plan, inventory and template files
// that it names, and finds every mistake of every file in one run.
//
// What it hands on is complete: defaults are filled in, paths are absolute,
// plug-in sections are decoded strictly by their kinds and kept as canonical
// JSON, names that refer to others are known to exist. Rule files are found and
// read here, and parsed by package rules.
package config

import (
	"encoding/json"
	"slices"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/internal/checks"
	"github.com/backout-io/backout/internal/route"
	"github.com/backout-io/backout/internal/secret"
	"github.com/backout-io/backout/notifier"
)

// Kinds are the plug-ins that files may name. A nil registry has none.
type Kinds struct {
	Executors *executors.Registry
	Notifiers *notifier.Registry
	Checks    *checks.Registry
	// Rules and Templates judge the files that only their own packages
	// understand, so that one run tells the problems of all files. Nil leaves
	// them unjudged.
	Rules     func(files []File) backout.Problems
	Templates func(texts map[string]string, audiences []string) backout.Problems
	// Offline leaves every secret where it is, for commands that judge files
	// without being the server: secrets have references only, and what depends on
	// their values is not checked.
	Offline bool
}

// Config is everything that the files say. It is not changed after [Load];
// a reload makes a new one.
type Config struct {
	Settings
	// Path is the config file as it was named; Dir its directory, absolute.
	Path string
	Dir  string
	// RuleFiles are the files that rules names, sorted by name.
	RuleFiles []File
	// RuleTests are the paths of the files that rule_tests names, sorted. They are not
	// read.
	RuleTests []string
	// Plans, Inventory and Channels are by name.
	Plans     map[string]backout.Plan
	Inventory map[string]backout.Target
	Channels  map[string]Channel
	// Routes say where notices go, the audiences' own channels included.
	Routes route.Table
	// Templates are the texts of the template files by file name without its
	// directory.
	Templates map[string]string
	// Exploited are the CVEs of exposure.known_exploited.
	Exploited map[string]bool
	// Files are all files that were read, as problems name them, sorted.
	Files []string
}

// File is a file handed on to its own parser.
type File struct {
	// Path is the file as problems name it.
	Path string
	Data []byte
}

// Channel is one way to people.
type Channel struct {
	Name string
	// Type names the [notifier.Kind], Section is what its Decode returned.
	Type    string
	Section json.RawMessage
}

// ResolveSecrets fills in the secrets of what config points to; it is the
// resolver of every plug-in's Build. Relative files are looked for beside the
// config file.
func (c *Config) ResolveSecrets(config any) error {
	return secret.Resolve(config, secret.Reader{Dir: c.Dir})
}

// Members lists who is in the group, by tokens and by groups, sorted.
func (s *Settings) Members(group string) []string {
	members := slices.Clone(s.Groups[group])
	for _, t := range s.Auth.Tokens {
		if slices.Contains(t.Groups, group) {
			members = append(members, t.Name)
		}
	}
	for _, u := range s.Auth.Users {
		if slices.Contains(u.Groups, group) {
			members = append(members, u.Name)
		}
	}
	slices.Sort(members)
	return slices.Compact(members)
}

// GroupsOf lists the groups that the user is in, sorted.
func (s *Settings) GroupsOf(user string) []string {
	var groups []string
	for _, t := range s.Auth.Tokens {
		if t.Name == user {
			groups = append(groups, t.Groups...)
		}
	}
	for _, u := range s.Auth.Users {
		if u.Name == user {
			groups = append(groups, u.Groups...)
		}
	}
	for group, members := range s.Groups {
		if slices.Contains(members, user) {
			groups = append(groups, group)
		}
	}
	slices.Sort(groups)
	return slices.Compact(groups)
}

// KnownGroup tells whether anything here speaks of the group.
func (s *Settings) KnownGroup(group string) bool { return slices.Contains(s.groupNames(), group) }

// groupNames lists every group that has been given a member or a name; with an identity
// provider, which may know members of any group, those of auth.roles too.
func (s *Settings) groupNames() []string {
	var names []string
	for name := range s.Groups {
		names = append(names, name)
	}
	for _, t := range s.Auth.Tokens {
		names = append(names, t.Groups...)
	}
	for _, u := range s.Auth.Users {
		names = append(names, u.Groups...)
	}
	if s.Auth.OIDC.On() {
		for _, r := range s.Auth.Roles {
			names = append(names, r.Groups...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
