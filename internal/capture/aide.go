package capture

import "github.com/backout-io/backout"

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
