package capture

import (
	"regexp"
	"strings"

	"github.com/backout-io/backout"
)

func readAccounts(said sections, inv *backout.Inventory) error {
	var err error
	inv.Accounts, err = fileStates(said, "accounts", backout.PartAccounts)
	return err
}

func readFiles(said sections, inv *backout.Inventory) error {
	var err error
	inv.Files, err = fileStates(said, "files", backout.PartFiles)
	return err
}

var (
	digest = regexp.MustCompile(`^[0-9a-f]{64}$`)
	mode   = regexp.MustCompile(`^[0-7]{1,5}$`)
	owner  = regexp.MustCompile(`^[0-9]+:[0-9]+$`)
)

// fileStates reads lines of kind, mode, owner, digest and path; where a link leads
// stands in the line after it.
func fileStates(said sections, name, part string) ([]backout.FileState, error) {
	const tool = "stat or sha256sum"
	lines, err := said.lines(name, part, tool)
	if err != nil {
		return nil, err
	}
	var files []backout.FileState
	seen := map[string]bool{}
	for i := 0; i < len(lines); i++ {
		f := strings.SplitN(lines[i], "\t", 5)
		if len(f) != 5 || !strings.HasPrefix(f[4], "/") {
			return nil, unparsed(part, tool, lines[i])
		}
		state := backout.FileState{Kind: f[0], Mode: f[1], Owner: f[2], SHA256: f[3], Path: plain(f[4])}
		known := mode.MatchString(state.Mode) && owner.MatchString(state.Owner)
		switch {
		case state.Kind == "file" && known && digest.MatchString(state.SHA256):
		case state.Kind == "absent" && f[1]+f[2]+f[3] == "":
		case state.Kind == "link" && known && state.SHA256 == "" && i+1 < len(lines) && strings.HasPrefix(lines[i+1], "to\t"):
			i++
			state.Target = plain(strings.TrimPrefix(lines[i], "to\t"))
		default:
			return nil, unparsed(part, tool, lines[i])
		}
		if !seen[state.Path] { // two patterns may match the same file
			files = append(files, state)
		}
		seen[state.Path] = true
	}
	if len(files) > maxFiles {
		return nil, invalid("look at %s: %d files match, at most %d are compared: narrow the patterns", part, len(files), maxFiles)
	}
	return files, nil
}
