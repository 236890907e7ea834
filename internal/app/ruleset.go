package app

import (
	"bytes"
	"fmt"
	"os"
	"regexp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/rules"
)

// Rules are rules with what they are about.
type Rules struct {
	Rules     *rules.Set
	Inventory map[string]backout.Target
	Plans     map[string]backout.Plan
	Watchdog  rules.Matchers
}

// RuleSet loads the rules that a config names, with its inventory, plans and watchdog, or
// those of rule files alone. It reads no secrets and reaches nobody.
func RuleSet(files ...string) (Rules, error) {
	data := make(map[string][]byte, len(files))
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return Rules{}, fmt.Errorf("read rules: %w", err)
		}
		if !isRuleFile(content) && len(files) == 1 {
			return configRules(file)
		}
		data[file] = content
	}
	set, problems := rules.Load(data)
	return Rules{Rules: set}, problems.Fatal()
}

func configRules(file string) (Rules, error) {
	l, problems := read(file, true)
	if err := problems.Fatal(); err != nil {
		return Rules{}, err
	}
	out := Rules{Rules: l.rules, Inventory: l.config.Inventory, Plans: l.config.Plans}
	var err error
	if l.config.Monitoring.On() {
		out.Watchdog, err = rules.ParseMatchers(l.config.Monitoring.Watchdog)
	}
	return out, err
}

var groups = regexp.MustCompile(`(?m)^["']?groups["']?\s*:`)

// isRuleFile tells by the one key that every rule file has, and no config.
func isRuleFile(content []byte) bool {
	return groups.Match(bytes.TrimPrefix(content, []byte("\xef\xbb\xbf")))
}
