package executors

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/backout-io/backout"
)

// stashes is where targets keep what the way back of a change needs: a folder of the
// change, and below it one of each kind of step.
const stashes = "/var/lib/backout/stash/"

// factFolder is the fact by which a step knows what it has kept.
const factFolder = "folder"

// Stash names the folder in which steps of a kind keep what they need on the target.
// Those whose section differs in what is kept, as parts say, have folders of their
// own: none of them reads, renews or removes what another one keeps.
func Stash(changeID, kind string, parts ...string) (string, error) {
	if err := CheckChange(changeID); err != nil {
		return "", err
	}
	folder := stashes + changeID + "/" + kind
	if len(parts) > 0 {
		folder += fmt.Sprintf("-%x", sha256.Sum256([]byte(strings.Join(parts, "\n"))))[:13]
	}
	return folder, nil
}

// Kept returns what a step of this executor has prepared in the folder, or nil.
func Kept(t backout.Task, uses, folder string) map[string]string {
	return t.PreparedBy(uses, func(facts map[string]string) bool { return folder != "" && facts[factFolder] == folder })
}
