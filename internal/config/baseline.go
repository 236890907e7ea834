package config

import (
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/strictyaml"
)

// baselineEntry is the section baseline of a plan.
type baselineEntry struct {
	Files    []text        `yaml:"files" doc:"Absolute paths or patterns of files whose content is compared after a rollback."`
	Without  []text        `yaml:"without" enum:"units,ports,mounts,accounts,files,aide" doc:"Parts that are not looked at."`
	Steps    []stepEntry   `yaml:"steps" doc:"Run on each target while its window opens: snapshots."`
	ValidFor duration      `yaml:"valid_for" doc:"How long a gate's yes holds. Default 24h."`
	Ignore   []ignoreEntry `yaml:"ignore" doc:"Differences that are expected after a rollback, beside those that always are."`
}

type ignoreEntry struct {
	Pos    strictyaml.Pos
	Part   text `yaml:"part" required:"true" enum:"packages,machine,units,ports,mounts,accounts,files,aide" doc:"The part of the baseline."`
	Name   text `yaml:"name" required:"true" doc:"Pattern of names; ** at its end matches everything below."`
	Reason text `yaml:"reason" required:"true" doc:"Shown beside what it hides."`
}

const (
	// maxValidFor is as long as anything that was found on a target can be believed.
	maxValidFor = 30 * 24 * backout.Duration(time.Hour)
	// maxFilePatterns is what one look at a target takes.
	maxFilePatterns = 500
)

func (l *loader) baseline(e baselineEntry) backout.BaselineSpec {
	b := backout.BaselineSpec{ValidFor: l.clock("valid_for", e.ValidFor, 0)}
	if b.ValidFor > maxValidFor {
		l.add(e.ValidFor.Pos.Problem(fmt.Sprintf("valid_for: %s is too long", b.ValidFor), "give at most "+maxValidFor.String()))
	}
	without := map[string]bool{}
	for _, part := range e.Without {
		if part.Value == "" {
			continue // told already
		}
		if without[part.Value] {
			l.add(part.Pos.Problem(fmt.Sprintf("%q stands twice", part.Value), "remove one"))
			continue
		}
		without[part.Value] = true
		b.Without = append(b.Without, part.Value)
	}
	if len(e.Files) > maxFilePatterns {
		l.add(e.Files[maxFilePatterns].Pos.Problem(fmt.Sprintf("%d files are named", len(e.Files)), fmt.Sprintf("name at most %d: patterns match many", maxFilePatterns)))
	}
	seen := map[string]bool{}
	for _, file := range e.Files {
		what, fix := badFile(file.Value)
		switch {
		case what != "":
			l.add(file.Pos.Problem(what, fix))
		case without[backout.PartFiles]:
			l.add(file.Pos.Problem("files are named, and without leaves files out", "remove one of the two"))
		case seen[file.Value]:
			l.add(file.Pos.Problem(fmt.Sprintf("%q stands twice", file.Value), "remove one"))
		}
		seen[file.Value] = true
		b.Files = append(b.Files, file.Value)
	}
	b.Steps = l.besides(e.Steps, "baseline")
	b.Ignore = l.ignored(e.Ignore, without)
	return b
}

// badFile says what is wrong with a path or pattern of a target's files.
func badFile(file string) (what, fix string) {
	switch {
	case file == "":
		return "an empty path", "name a file, or remove the line"
	case strings.ContainsFunc(file, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Sprintf("%q has a control character in it", file), "name the file without it"
	case !path.IsAbs(file):
		return fmt.Sprintf("%q is not absolute", file), "begin it with /: it is a path of the target"
	case file == "/" || strings.Contains(file, `\`):
		return fmt.Sprintf("%q cannot name a file", file), "name files below /, with ? in the place of a backslash"
	case path.Clean(file) != file:
		return fmt.Sprintf("%q is not a plain path", file), "write " + path.Clean(file)
	case strings.Contains(file, "**"):
		return fmt.Sprintf("%q has ** in it", file), "name the files of each directory: * does not go below"
	}
	if _, err := path.Match(file, "/"); err != nil {
		return fmt.Sprintf("%q is not a pattern", file), "brackets must close"
	}
	return "", ""
}

// ignored reads the rules for differences that are expected.
func (l *loader) ignored(entries []ignoreEntry, without map[string]bool) []backout.IgnoreDrift {
	var out []backout.IgnoreDrift
	seen := map[backout.IgnoreDrift]bool{}
	for _, e := range entries {
		rule := backout.IgnoreDrift{Part: e.Part.Value, Name: e.Name.Value, Reason: strings.TrimSpace(e.Reason.Value)}
		key := backout.IgnoreDrift{Part: rule.Part, Name: rule.Name}
		_, err := path.Match(strings.TrimSuffix(rule.Name, "**"), "")
		switch {
		case given(e.Name.Pos) && rule.Name == "":
			l.add(e.Name.Pos.Problem("an empty name matches nothing", "name what differs; * matches all names without a /"))
		case err != nil || strings.Contains(strings.TrimSuffix(rule.Name, "**"), "**"):
			l.add(e.Name.Pos.Problem(fmt.Sprintf("%q is not a pattern", rule.Name), "brackets must close, and ** stands at the end only"))
		case seen[key]:
			l.add(e.Pos.Problem(fmt.Sprintf("%s %q is ignored twice", rule.Part, rule.Name), "remove one"))
		case without[rule.Part]:
			l.add(e.Part.Pos.Warning(fmt.Sprintf("%s are not looked at, so there is nothing to ignore", rule.Part), "remove the rule, or the part from without"))
		}
		if given(e.Reason.Pos) && rule.Reason == "" {
			l.add(e.Reason.Pos.Problem("no reason", "say why the difference is expected"))
		}
		seen[key] = true
		out = append(out, rule)
	}
	return out
}

// besides reads steps that run beside a rollback: those of the baseline, and those
// that clean up. They run without a person, before and after the window, so they
// may neither lose data nor undo the patch.
func (l *loader) besides(entries []stepEntry, where string) []backout.Step {
	var out []backout.Step
	seen := map[string]strictyaml.Pos{}
	for _, e := range entries {
		step, destructive, _ := l.step(e)
		key := step.Uses + " " + string(step.With)
		first, taken := seen[key]
		switch {
		case taken && step.With != nil:
			l.add(e.Pos.Problem(fmt.Sprintf("the same %s step twice", where), fmt.Sprintf("remove one; the first is in line %d", first.Line)))
		case e.Reboots:
			l.add(e.Pos.Problem(fmt.Sprintf("a %s step reboots its target", where), "only the steps of a level may"))
		case destructive:
			l.add(e.Uses.Pos.Problem(fmt.Sprintf("%s loses data, which a %s step may not", step.Uses, where), "make it a step of a level"))
		case l.undoes(step.Uses):
			l.add(e.Uses.Pos.Problem(fmt.Sprintf("%s undoes the patch, which a %s step may not", step.Uses, where), "make it a step of a level"))
		}
		seen[key] = e.Pos
		out = append(out, step)
	}
	return out
}

func (l *loader) undoes(uses string) bool {
	if l.kinds.Executors == nil {
		return false
	}
	kind, ok := l.kinds.Executors.Lookup(uses)
	return ok && kind.WantsDelta
}
