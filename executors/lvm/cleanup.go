package lvm

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"strings"

	"github.com/backout-io/backout"
)

//go:embed cleanup.sh
var cleanupScript string

// Cleanup implements [backout.Cleaner]: it removes the snapshots that carry the
// change's tag and, where the baseline knows them, its uuids; never one that is being
// merged.
func (s Snapshot) Cleanup(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) error {
	if err := changeName(t.ChangeID); err != nil {
		return backout.Permanent(err)
	}
	m, err := madeFor(t)
	if err != nil {
		return backout.Permanent(err)
	}
	r, err := look(ctx, h, t.ChangeID, onlyLVM)
	if err != nil {
		return err
	}
	known := map[string]string{}
	for _, v := range m.Set {
		known[v.Volume] = v.UUID
	}
	args := []string{t.ChangeID}
	for _, name := range s.config.Volumes {
		origin, ok := r.byName(name)
		if !ok {
			continue
		}
		uuid := ""
		for _, snapshot := range r.snapshotsOf(origin) {
			if snapshot.tagged(tagOf(t.ChangeID)) && (known[name] == "" || known[name] == snapshot.UUID) {
				uuid = snapshot.UUID
			}
		}
		mount := r.mountOf(origin)
		if uuid == "" && !strings.Contains(","+origin.Tags, ","+mergePrefix(t.ChangeID)) && !r.Markers["pre "+mount] && !r.Markers["post "+mount] {
			continue
		}
		args = append(args, name, uuid, mount)
	}
	if len(args) == 1 {
		return nil
	}
	if _, err := run(ctx, t, h, out, cleanupScript, args...); err != nil {
		return fmt.Errorf("remove the snapshots: %w", err)
	}
	return nil
}
