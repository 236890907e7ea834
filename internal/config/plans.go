package config

import "github.com/backout-io/backout"

// LoadPlans reads plan files and little else, for people who write them. With the
// path of a config file they may name what it knows (audiences, groups), and no
// files means those that it names; its own problems are told too. Without a path
// the names are not judged. Secrets stay where they are. The config is nil when a
// problem is more than a warning.
func LoadPlans(path string, files []string, kinds Kinds) (*Config, backout.Problems) {
	kinds.Offline = true
	l := newLoader(path, kinds)
	if path != "" && !l.server() {
		return nil, l.finish()
	}
	if path != "" {
		l.people()
		l.channels()
	}
	for _, name := range files {
		l.planFile(name)
	}
	if len(files) == 0 {
		l.plans()
	}
	problems := l.finish()
	if problems.Fatal() != nil {
		return nil, problems
	}
	return l.cfg, problems
}
