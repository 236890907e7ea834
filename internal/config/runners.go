package config

import (
	"fmt"
	"slices"

	"github.com/backout-io/backout/internal/strictyaml"
)

// runners checks the section of that name.
func (l *loader) runners(s *Settings) {
	r := &s.Runners
	if len(r.Sites) == 0 {
		for _, key := range []string{"signing_key", "built_in"} {
			if l.root.Has("runners", key) {
				l.add(l.keyAt("runners", key).Problem(fmt.Sprintf("runners.%s without runners.sites: no site has runners", key), "name the sites that have, or remove it"))
			}
		}
		return
	}
	seen := map[string]bool{}
	for _, list := range []struct {
		key   string
		sites []string
	}{{"sites", r.Sites}, {"built_in", r.BuiltIn}} {
		for i, site := range list.sites {
			l.name("a site", site, plainName, plainNameFix, l.at("runners", list.key, i))
			if seen[site] {
				l.add(l.at("runners", list.key, i).Problem(fmt.Sprintf("site %q stands here twice", site), "remove one: either runners there reach its targets, or the server does"))
			}
			seen[site] = true
		}
	}
	if r.SigningKey.IsZero() {
		l.add(l.keyAt("runners", "sites").Problem("runners.sites without runners.signing_key: runners would refuse every step", "make a key with backout runner keygen, and name its place"))
	}
	if s.NATS.URL == "" {
		l.add(l.keyAt("runners").Problem("runners.sites without nats.url: runners meet the server on a NATS that both reach, and nothing else reaches the embedded one", "give nats.url, or remove runners"))
	}
}

// site checks where a target stands. One that is not known is no label any more
// once sites have runners: its steps would run from the wrong place.
func (l *loader) site(s strictyaml.At[string]) {
	r := l.cfg.Runners
	known := slices.Concat(r.Sites, r.BuiltIn)
	if s.Value == "" || len(r.Sites) == 0 || slices.Contains(known, s.Value) {
		return
	}
	fix := "add it to runners.sites, or to runners.built_in when the server reaches its targets itself"
	if near := strictyaml.Nearest(s.Value, known); near != "" {
		fix = fmt.Sprintf("did you mean %q? Otherwise %s", near, fix)
	}
	l.add(s.Pos.Problem(fmt.Sprintf("site %q is not one of %s", s.Value, l.cfg.Path), fix))
}
