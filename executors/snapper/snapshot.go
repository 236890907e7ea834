package snapper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
)

// Snapshot is the baseline step.
type Snapshot struct{ set }

var (
	_ backout.Executor    = Snapshot{}
	_ backout.Preflighter = Snapshot{}
	_ backout.Prober      = Snapshot{}
	_ backout.Cleaner     = Snapshot{}
	_ backout.Privileged  = Snapshot{}
)

const factKey, factMade, factPrefix = "key", "made", "config."

// takeText makes a snapshot of each config, and deletes those that earlier attempts
// of the change have made: KEY [CONFIG OLD-NUMBERS]...
const takeText = `key=$1; shift
while [ $# -gt 0 ]; do
	n=$(snap -c "$1" create --type single --print-number --description "backout $key" --userdata "backout=$key")
	printf 'backout: snapshot %s of %s\n' "$n" "$1"
	for old in $2; do snap -c "$1" delete "$old"; done
	shift 2
done
sync
`

// cleanText deletes: [CONFIG NUMBERS]...
const cleanText = `while [ $# -gt 0 ]; do
	for old in $2; do snap -c "$1" delete "$old"; done
	shift 2
done
`

// Preflight implements [backout.Preflighter].
func (s Snapshot) Preflight(ctx context.Context, t backout.Task, h backout.Host) []backout.Violation {
	if err := executors.CheckChange(t.ChangeID); err != nil {
		return []backout.Violation{{Check: "snapper", Reason: err.Error(), Fix: "give the change another id"}}
	}
	now, err := look(ctx, h, s.config.Configs)
	if err != nil {
		return []backout.Violation{{Check: "snapper", Reason: err.Error(), Fix: "see what snapper says on the target"}}
	}
	return s.check(now)
}

// Execute implements [backout.Executor].
func (s Snapshot) Execute(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Outcome, error) {
	if err := executors.BeforePatch(t); err != nil {
		return backout.Outcome{}, err
	}
	key, err := executors.Mark(t)
	if err != nil {
		return backout.Outcome{}, err
	}
	now, err := look(ctx, h, s.config.Configs)
	if err != nil {
		return backout.Outcome{}, err
	}
	if v := s.check(now); len(v) > 0 {
		// What an attempt that is attached to has used up is no reason.
		r, err := h.Probe(ctx, t.AttemptID)
		if err != nil {
			return backout.Outcome{}, err
		}
		if r.State == backout.AttemptNotStarted {
			return backout.Outcome{}, errors.New(v[0].Reason)
		}
	}
	args := []string{key}
	for _, name := range s.config.Configs {
		at := now.configs[name]
		if at == nil {
			return backout.Outcome{}, fmt.Errorf("snapper has no config %s", name)
		}
		args = append(args, name, numbers(ofChange(at.list, userBaseline, t.ChangeID)))
	}
	outcome, err := attempt(ctx, t, h, takeText, args, out)
	if err != nil {
		return outcome, err
	}
	if now, err = look(ctx, h, s.config.Configs); err != nil {
		return outcome, err
	}
	facts, err := s.facts(now, key)
	if err != nil {
		return outcome, fmt.Errorf("snapper ended well, but %w", err)
	}
	if !outcome.FinishedAt.IsZero() {
		facts[factMade] = outcome.FinishedAt.UTC().Format(time.RFC3339)
	}
	outcome.Facts = facts
	outcome.Summary = "snapper keeps " + described(s.config.Configs, facts)
	return outcome, nil
}

// numbers are those that may be deleted: neither the default nor what runs.
func numbers(all []entry) string {
	var text []string
	for _, e := range all {
		if !e.isDefault() && !e.isActive() {
			text = append(text, strconv.Itoa(e.Number))
		}
	}
	return strings.Join(text, " ")
}

func described(configs []string, facts map[string]string) string {
	var text []string
	for _, name := range configs {
		text = append(text, fmt.Sprintf("snapshot %s of %s", facts[factPrefix+name], name))
	}
	return strings.Join(text, ", ")
}

// facts are the numbers of the key's snapshots; there must be one of each config.
func (s Snapshot) facts(now seen, key string) (map[string]string, error) {
	facts := map[string]string{factKey: key}
	for _, name := range s.config.Configs {
		at := now.configs[name]
		if at == nil || at.why != "" {
			return nil, fmt.Errorf("config %s cannot be listed", name)
		}
		made := with(at.list, userBaseline, key)
		if len(made) != 1 || made[0].Cleanup != "" {
			return nil, fmt.Errorf("config %s has %d snapshots with userdata backout=%s and without a cleanup algorithm", name, len(made), key)
		}
		facts[factPrefix+name] = strconv.Itoa(made[0].Number)
	}
	return facts, nil
}

// Probe implements [backout.Prober].
func (s Snapshot) Probe(ctx context.Context, t backout.Task, h backout.Host) (backout.Probed, error) {
	key, err := executors.Mark(t)
	if err != nil {
		return backout.Probed{}, err
	}
	now, err := look(ctx, h, s.config.Configs)
	if err != nil {
		return backout.Probed{}, err
	}
	facts, err := s.facts(now, key)
	if err != nil {
		return unfinished(ctx, t, h, backout.Probed{State: backout.ProbeNotDone, Detail: err.Error()})
	}
	return backout.Probed{State: backout.ProbeDone, Detail: described(s.config.Configs, facts)}, nil
}

// Cleanup implements [backout.Cleaner]: it deletes the change's snapshots, and the
// copies that a rollback made of what it left. What runs, and what the next boot
// finds, stays.
func (s Snapshot) Cleanup(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) error {
	if err := executors.CheckChange(t.ChangeID); err != nil {
		return backout.Permanent(err)
	}
	now, err := look(ctx, h, s.config.Configs)
	if err != nil {
		return err
	}
	var args []string
	for _, name := range s.config.Configs {
		at := now.configs[name]
		if at == nil || at.why != "" {
			continue
		}
		var old []string
		for _, key := range []string{userBaseline, userRollback, userBefore} {
			all := ofChange(at.list, key, t.ChangeID)
			for _, e := range all {
				if key == userRollback && e.isDefault() && !e.isActive() {
					return errors.New("the reboot after snapper rollback has not happened")
				}
			}
			if n := numbers(all); n != "" {
				old = append(old, n)
			}
		}
		if len(old) > 0 {
			args = append(args, name, strings.Join(old, " "))
		}
	}
	if len(args) == 0 {
		return nil
	}
	_, err = attempt(ctx, t, h, cleanText, args, out)
	return err
}
