package capture

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/backout-io/backout"
)

// readAIDE reads the version and the digest of the database; there is nothing to be
// told where either AIDE or its database is not there.
func readAIDE(said sections, inv *backout.Inventory) error {
	lines, err := said.lines("aide", backout.PartAIDE, "aide")
	if err != nil || len(lines) == 0 {
		return err
	}
	var state backout.AIDEState
	for _, line := range lines {
		switch name, value := pair(line); {
		case name == "version" && value != "":
			state.Version = plain(value)
		case name == "database" && digest.MatchString(value):
			state.Database = value
		default:
			return unparsed(backout.PartAIDE, "aide", line)
		}
	}
	if state.Version == "" || state.Database == "" {
		return invalid("look at aide: it does not say its version, or its database cannot be read")
	}
	inv.AIDE = &state
	return nil
}

// NameAIDE is the script's name for itself when AIDE is asked to compare.
const NameAIDE = "backout-aide"

// CheckAIDE lets AIDE of the target compare all that its database has with what is
// there, which may take minutes, and returns what it reports. It is never part of
// [Take]. What it says counts only as long as the database is the one of the
// baseline; a database that AIDE cannot read whole is an error, whatever the exit code.
func CheckAIDE(ctx context.Context, h backout.Host) (backout.AIDEReport, error) {
	r, err := h.Run(ctx, backout.Exec{Argv: []string{"sh", "-c", script, NameAIDE}})
	if err != nil {
		return backout.AIDEReport{}, fmt.Errorf("check with aide: %w", err)
	}
	said, err := unframe(r)
	if err != nil {
		return backout.AIDEReport{}, err
	}
	version, err := said.lines("version", backout.PartAIDE, "aide")
	if err != nil {
		return backout.AIDEReport{}, err
	}
	tool := quote(strings.Join(version[:min(1, len(version))], ""))
	code := said.by["check"].code
	if code == codeUnreadable || code > 7 || !said.has("check") {
		_, err := said.lines("check", backout.PartAIDE, tool)
		return backout.AIDEReport{}, cause(err, code)
	}
	return aideReport(said.by["check"].lines, r.Stderr, code, tool)
}

// aideErrors are its exit codes from 14 on, as aide(1) has them.
var aideErrors = map[int]string{
	14: "it could not write", 15: "a wrong argument", 16: "not built in", 17: "a mistake in its configuration", 18: "a file cannot be read, perhaps the database: run aide --init",
	19: "the database is of another version", 20: "it could not start a program", 21: "another one is running", 22: "not enough memory", 23: "it could not start a thread",
	24: "the database is damaged: run aide --init", 25: "it was interrupted",
}

func cause(err error, code int) error {
	why := aideErrors[code]
	if code > 128 {
		why = "a signal ended it, as a damaged database can make it do: run aide --init"
	}
	if why != "" && err != nil {
		return fmt.Errorf("%w (%s)", err, why)
	}
	return err
}

// aideFound is what either form of the report says.
type aideFound struct {
	total  int
	report backout.AIDEReport
}

// aideReport reads the report and holds it against the exit code, a mask of 1 for
// new, 2 for removed and 4 for changed entries.
func aideReport(lines []string, stderr []byte, code int, tool string) (backout.AIDEReport, error) {
	if warning := firstWarning(stderr); warning != "" {
		return backout.AIDEReport{}, invalid("check with aide: %s warns %s: what it compares with is not whole: run aide --init on a system that is as it should be", tool, quote(warning))
	}
	found, ok := aideJSON(lines)
	if !ok {
		found, ok = aidePlain(lines)
	}
	r := found.report
	mask := map[bool]int{true: 1}[len(r.Added) > 0] + map[bool]int{true: 2}[len(r.Removed) > 0] + map[bool]int{true: 4}[len(r.Changed) > 0]
	switch {
	case !ok || mask != code:
		return backout.AIDEReport{}, invalid("check with aide: %s ended with %d, and its report is not understood or says something else: report_level must be list_entries or more", tool, code)
	case code == 1 && found.total > 0 && len(r.Added) >= found.total:
		return backout.AIDEReport{}, invalid("check with aide: to %s all %d entries are new: its database is empty or damaged: run aide --init", tool, found.total)
	}
	return r, nil
}

func firstWarning(stderr []byte) string {
	for lines := bufio.NewScanner(bytes.NewReader(stderr)); lines.Scan(); {
		if strings.Contains(lines.Text(), "WARNING") {
			return lines.Text()
		}
	}
	return ""
}

// aideJSON finds the report in JSON behind others on the same output.
func aideJSON(lines []string) (aideFound, bool) {
	for i, line := range lines {
		if line != "{" {
			continue
		}
		var r struct {
			Outline string `json:"outline"`
			Number  struct {
				Total int `json:"total"`
			} `json:"number_of_entries"`
			Added   map[string]string `json:"added"`
			Removed map[string]string `json:"removed"`
			Changed map[string]string `json:"changed"`
		}
		if err := json.NewDecoder(strings.NewReader(strings.Join(lines[i:], "\n"))).Decode(&r); err != nil || r.Outline == "" {
			continue
		}
		return aideFound{r.Number.Total, backout.AIDEReport{Added: names(r.Added), Removed: names(r.Removed), Changed: names(r.Changed)}}, true
	}
	return aideFound{}, false
}

func names(of map[string]string) []string {
	var list []string
	for name := range maps.Keys(of) {
		list = append(list, plain(name))
	}
	slices.Sort(list)
	return list
}

var (
	aideTotal = regexp.MustCompile(`^\s*(Total number of entries|Number of entries|Added entries|Removed entries|Changed entries):\s+([0-9]+)$`)
	aideHead  = regexp.MustCompile(`^(Added|Removed|Changed) entries:$`)
	aideEntry = regexp.MustCompile(`^[a-zA-Z?][^/]*: (/.*)$`)
)

// aidePlain reads the text that versions before 0.18 write. The numbers at its
// beginning must be those of the entries.
func aidePlain(lines []string) (aideFound, bool) {
	var found aideFound
	numbers, entries, open := map[string]int{}, map[string][]string{}, ""
	known := false
	for i, line := range lines {
		if m := aideTotal.FindStringSubmatch(line); m != nil {
			numbers[m[1]], _ = strconv.Atoi(m[2])
			continue
		}
		if m := aideHead.FindStringSubmatch(line); m != nil {
			open = m[1]
			continue
		}
		if strings.HasPrefix(line, "----") {
			// A line above and one below each head.
			if i+1 < len(lines) && !aideHead.MatchString(lines[i+1]) && i > 0 && !aideHead.MatchString(lines[i-1]) {
				open = ""
			}
			continue
		}
		known = known || strings.Contains(line, "AIDE") && (strings.Contains(line, "differences") || strings.Contains(line, "match"))
		if m := aideEntry.FindStringSubmatch(line); m != nil && open != "" {
			entries[open] = append(entries[open], plain(m[1]))
		}
	}
	for _, kind := range []string{"Added", "Removed", "Changed"} {
		if numbers[kind+" entries"] != len(entries[kind]) {
			return found, false
		}
		slices.Sort(entries[kind])
	}
	found.total = max(numbers["Total number of entries"], numbers["Number of entries"])
	found.report = backout.AIDEReport{Added: entries["Added"], Removed: entries["Removed"], Changed: entries["Changed"]}
	return found, known
}
