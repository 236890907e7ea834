package view

import (
	"fmt"
	"strings"
	"time"

	"github.com/backout-io/backout/internal/backup"
)

// Backup says what a whole backup holds.
func Backup(c backup.Contents, s Style) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s of %s, by %s\n", s.show(sign{"✓", "+", "a whole backup", toneGood}), c.Header.At.UTC().Format(time.RFC3339), text(c.Header.Server))
	for _, stream := range c.Streams {
		fmt.Fprintf(&b, "  %-22s %8d messages, up to %d\n", text(stream.Stream), stream.Count, stream.Last)
	}
	fmt.Fprintf(&b, "  sha256 %s\n", text(c.Sum))
	return b.String()
}

// Restored says what was restored, and what comes next.
func Restored(c backup.Contents, s Style) string {
	return Backup(c, s) + "restored, and compared with what is stored now. The pause switch is on: start the server,\n" +
		"look at \"backout change list\" and \"backout rollback list\", then run \"backout resume\"\n"
}
