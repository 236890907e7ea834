package ui

// Entry is an entry of the navigation.
type Entry struct{ Key, Path, Word string }

// entries are the pages that stand on their own, in the order of how urgent they are.
var entries = []Entry{
	{"now", "", "Now"},
	{"changes", "changes", "Changes"},
	{"readiness", "readiness", "Readiness"},
	{"rollbacks", "rollbacks", "Rollbacks"},
	{"rules", "rules", "Rules"},
	{"settings", "settings", "Settings"},
}

// Entries are the navigation's.
func (v *view) Entries() []Entry { return entries }
