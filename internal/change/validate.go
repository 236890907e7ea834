package change

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/backout-io/backout"
)

// Bounds of what a change may carry, texts in bytes. The one that keeps a record
// under 1 MiB, which every NATS server takes, is maxSize; the others say sooner
// and more plainly what is too much.
const (
	maxID      = 64
	maxTargets = 2_000
	maxTarget  = 253
	// maxNames is for the targets' names together: the record that opens the window
	// has each three times, twice with a digest.
	maxNames = 160 << 10
	maxText  = 4 << 10
	maxList  = 1_000
	maxSize  = 768 << 10
)

// Validate says what is wrong with a change as it is asked for; nothing means
// that it can be planned. Whether its window may open is the gate's question.
func Validate(s backout.ChangeSpec) []backout.Violation {
	var v violations
	v.id(s.ID)
	v.targets(s.Targets)
	if s.Plan == "" {
		v.add("plan", "no plan is named", "name the back-out plan, as in its file")
	}
	v.window(s.Window)
	kinds := []string{"", "kb", "advisory", "packages", "image", "other"}
	if !slices.Contains(kinds, s.Patch.Kind) {
		v.add("patch", fmt.Sprintf("patch kind %.40q is not known", s.Patch.Kind), "use one of "+strings.Join(kinds[1:], ", "))
	}
	for _, f := range []struct{ name, text string }{{"patch", s.Patch.Kind}, {"title", s.Title}, {"owner", s.Owner}, {"plan", s.Plan}, {"time_zone", s.Window.TimeZone}} {
		v.text(f.name, f.text)
	}
	v.list("patch.ids", s.Patch.IDs)
	v.list("patch.cves", s.Patch.CVEs)
	v.list("stakeholders", s.Stakeholders)
	if len(s.Labels) > maxList {
		v.add("labels", fmt.Sprintf("%d labels, at most %d are taken", len(s.Labels), maxList), "")
	}
	for name, value := range s.Labels {
		v.text("labels", name)
		v.text("labels", value)
	}
	if data, err := json.Marshal(s); err == nil && len(data) > maxSize {
		v.add("size", fmt.Sprintf("the change has %d KiB as JSON, at most %d are taken", len(data)>>10, maxSize>>10), "split the change, or shorten its lists, labels and texts")
	}
	return v.sorted()
}

type violations []backout.Violation

func (v *violations) add(check, reason, fix string) {
	*v = append(*v, backout.Violation{Check: check, Reason: reason, Fix: fix})
}

func (v *violations) id(id string) {
	const fix = "use 1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit"
	switch {
	case id == "":
		v.add("id", "it is missing", fix)
	case len(id) > maxID:
		v.add("id", fmt.Sprintf("it has %d characters", len(id)), fix)
	case strings.ContainsFunc(id, notInID) || strings.ContainsAny(id[:1], "._-"):
		v.add("id", fmt.Sprintf("%q has a character that is not allowed there", id), fix)
	}
}

func notInID(r rune) bool {
	return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._-", r)
}

func (v *violations) targets(targets []string) {
	if len(targets) == 0 {
		v.add("targets", "no target is named", "name each target as in the inventory; nothing never means all")
	}
	if len(targets) > maxTargets {
		v.add("targets", fmt.Sprintf("%d targets, at most %d are taken", len(targets), maxTargets), "split it into changes of their own, such as one for each site")
		return
	}
	if n := len(strings.Join(targets, "")); n > maxNames {
		v.add("targets", fmt.Sprintf("the targets' names have %d KiB together, at most %d are taken", n>>10, maxNames>>10), "split it into changes of their own")
	}
	seen := make(map[string]bool, len(targets))
	for _, t := range targets {
		switch {
		case t == "":
			v.add("targets", "a target has no name", "name each target as in the inventory")
		case seen[t]:
			v.add("targets", fmt.Sprintf("target %q is named twice", t), "name it once")
		}
		if len(t) > maxTarget {
			v.add("targets", fmt.Sprintf("a target's name has %d bytes, at most %d are taken", len(t), maxTarget), "name each target as in the inventory")
			continue
		}
		v.text("targets", t)
		seen[t] = true
	}
}

func (v *violations) window(w backout.Window) {
	if !w.Opens.IsZero() && !w.Closes.IsZero() && !w.Closes.After(w.Opens) {
		v.add("window", fmt.Sprintf("it closes at %s, not after it opens at %s", clock(w.Closes), clock(w.Opens)), "give a later closes")
	}
	if w.Auto && w.Opens.IsZero() {
		v.add("window", "it is to open by itself and has no opening time", "give opens, or leave auto out")
	}
	if time.Duration(w.Watch) < 0 {
		v.add("window", "watch is negative", "say how long alerts count after patching, such as 2h")
	}
}

func (v *violations) text(check, text string) {
	switch {
	case len(text) > maxText:
		v.add(check, fmt.Sprintf("a text of %d bytes, at most %d are taken", len(text), maxText), "make it shorter")
	case !utf8.ValidString(text):
		v.add(check, "a text is not valid UTF-8", "send UTF-8")
	case strings.ContainsFunc(text, unicode.IsControl):
		v.add(check, fmt.Sprintf("%.80q has a control character", text), "remove it; a text is one line")
	}
}

func (v *violations) list(check string, items []string) {
	if len(items) > maxList {
		v.add(check, fmt.Sprintf("%d entries, at most %d are taken", len(items), maxList), "")
		return
	}
	for _, item := range items {
		v.text(check, item)
		if item == "" {
			v.add(check, "an entry is empty", "leave it out")
		}
	}
}

// sorted puts them in one order, since labels come in none.
func (v violations) sorted() []backout.Violation {
	slices.SortStableFunc(v, func(a, b backout.Violation) int {
		if c := strings.Compare(a.Check, b.Check); c != 0 {
			return c
		}
		return strings.Compare(a.Reason, b.Reason)
	})
	return v
}

func sentence(vs []backout.Violation) string {
	parts := make([]string, len(vs))
	for i, v := range vs {
		parts[i] = v.Check + ": " + v.Reason
		if v.Fix != "" {
			parts[i] += " (" + v.Fix + ")"
		}
	}
	return strings.Join(parts, "; ")
}
