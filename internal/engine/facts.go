package engine

import (
	"strings"

	"github.com/backout-io/backout"
)

// facts are the BACKOUT_* variables of a step.
func facts(r backout.Rollback, level *backout.Level, target backout.Target, attemptID string) map[string]string {
	address := target.Address
	if address == "" {
		address = target.Name
	}
	f := map[string]string{
		"BACKOUT_CHANGE_ID":      r.ChangeID,
		"BACKOUT_ROLLBACK_ID":    r.ID,
		"BACKOUT_LEVEL":          level.Name,
		"BACKOUT_TARGET":         target.Name,
		"BACKOUT_TARGET_ADDRESS": address,
		"BACKOUT_ATTEMPT":        attemptID,
		"BACKOUT_PATCH_KIND":     r.Patch.Kind,
		"BACKOUT_PATCH_IDS":      strings.Join(r.Patch.IDs, ","),
		// Empty for a rollback by hand: a step may name any fact in any rollback.
		"BACKOUT_RULE":       "",
		"BACKOUT_ALERT_NAME": "",
	}
	if v := r.Trigger.Verdict; v != nil {
		f["BACKOUT_RULE"], f["BACKOUT_ALERT_NAME"] = v.Rule, v.AlertName
	}
	for name, value := range f {
		f[name] = environment(value)
	}
	return f
}

// factMax is how long one fact may be in a step's environment, in characters.
const factMax = 8 << 10

// environment makes a text from outside fit for an environment variable, which
// can hold anything but NUL.
func environment(s string) string {
	return clip(strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD"), factMax)
}
