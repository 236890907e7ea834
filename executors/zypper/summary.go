package zypper

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/backout-io/backout/internal/packages"
)

// action is one line of what a dry run would do.
type action struct {
	// verb is to-upgrade, to-downgrade, to-install, to-remove and so on.
	verb, name, arch string
	// was is empty for what is new, now for what goes.
	was, now string
}

var (
	verb     = regexp.MustCompile(`^<(to-[a-z-]+)>$`)
	solvable = regexp.MustCompile(`^<solvable type="package" name="([^"]+)" edition="([^"]+)" arch="([^"]+)"(?: edition-old="([^"]+)" arch-old="([^"]+)")?`)
	message  = regexp.MustCompile(`^<message type="(error|warning)">(.*)</message>`)
	promise  = regexp.MustCompile(`^<install-summary .*packages-to-change="([0-9]+)"`)
)

var entities = strings.NewReplacer("&apos;", "'", "&quot;", `"`, "&lt;", "<", "&gt;", ">", "&amp;", "&")

// parseSummary reads the XML of a dry run line by line, as zypper 1.13 and 1.14
// write it: text in it has no angle bracket, so a line that begins with one is
// markup. Without summary and without the words that there is nothing to do the
// answer is not understood.
func parseSummary(lines []string) ([]action, error) {
	var all []action
	now, whole := "", false
	for _, line := range lines {
		line = strings.TrimSpace(line)
		if m := verb.FindStringSubmatch(line); m != nil {
			now = m[1]
		}
		if strings.HasPrefix(line, "</to-") {
			now = ""
		}
		whole = whole || promise.MatchString(line) || strings.Contains(line, ">Nothing to do.<")
		m := solvable.FindStringSubmatch(line)
		if m == nil || now == "" {
			continue
		}
		a := action{verb: now, name: entities.Replace(m[1]), arch: m[3], now: m[2], was: m[4]}
		if now == "to-remove" {
			a.was, a.now = a.now, ""
		}
		all = append(all, a)
	}
	if !whole {
		return nil, errors.New("zypper's dry run has no summary")
	}
	return all, nil
}

// messages returns what zypper complains of.
func messages(lines []string) []string {
	var all []string
	for _, line := range lines {
		if m := message.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			all = append(all, entities.Replace(m[2]))
		}
	}
	return all
}

// compare tells how a dry run differs from what is wanted: what it would do beside
// it, and what it would leave.
func compare(got []action, in packages.Inverse) error {
	want := map[string]bool{}
	for _, c := range slices.Concat(in.Back, in.Install) {
		want[c.Name+" "+plain(c.From)] = true
	}
	for _, c := range in.Remove {
		want[c.Name+" "] = true
	}
	var beside []string
	for _, a := range got {
		k := a.name + " " + plain(a.now)
		if !want[k] {
			beside = append(beside, strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s", strings.TrimPrefix(a.verb, "to-"), a.name, a.was, a.now)), " "))
		}
		delete(want, k)
	}
	var left []string
	for k := range want {
		left = append(left, strings.TrimSpace(k))
	}
	slices.Sort(left)
	var errs []error
	if len(beside) > 0 {
		errs = append(errs, errors.New("zypper would also "+some(beside)))
	}
	if len(left) > 0 {
		errs = append(errs, errors.New("zypper would not bring back "+some(left)))
	}
	return errors.Join(errs...)
}

// some names the first few.
func some(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// codes are zypper's exit codes, by what they mean here.
var codes = map[string][2]string{
	"1":   {"zypper failed", "see zypper's output on the target"},
	"4":   {"zypper's solver finds no way", "see zypper's output on the target: a lock, a vendor change or another package stands in the way"},
	"5":   {"zypper may be run by root only", "let the target's commands run as root (sudo: true)"},
	"6":   {"zypper has no repository", "enable the repositories of the target"},
	"7":   {"zypper is locked by another program", "wait until it has ended (packagekitd, YaST)"},
	"8":   {"zypper could not commit", "see zypper's output on the target"},
	"104": {"a package is not found", "let the repositories keep the old packages, or do not set stash: false"},
	"106": {"a repository could not be refreshed, and zypper left it out", "repair or disable the repository"},
}

// meaning says a code in words, with what to do.
func meaning(code string) (reason, fix string) {
	if m, ok := codes[code]; ok {
		return m[0] + " (code " + code + ")", m[1]
	}
	return "zypper ended with code " + code, "see zypper(8) of the target, EXIT CODES"
}

// conditional are codes with which the work may be done: a reboot is needed, the
// package manager itself was changed, a repository was left out, a script of a
// package failed though it is installed. What rpm says counts.
func conditional(code int) bool { return code == 102 || code == 103 || code == 106 || code == 107 }
