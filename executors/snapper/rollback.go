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

// Rollback is the step that goes back.
type Rollback struct{ set }

var (
	_ backout.Executor    = Rollback{}
	_ backout.Preflighter = Rollback{}
	_ backout.Prober      = Rollback{}
	_ backout.Loser       = Rollback{}
	_ backout.Privileged  = Rollback{}
)

// backText goes back: KEY [CONFIG NUMBER HOW]..., where HOW is rollback, undochange,
// or the number of the snapshot that an attempt made before an undochange that was
// cut.
const backText = `key=$1; shift
changed() { snap -c "$1" status "$2" >"$work/said" && sed 's/^[^ ]* *//' "$work/said" | sort; }
while [ $# -gt 0 ]; do
	config=$1 number=$2 how=$3; shift 3
	if [ "$how" = rollback ]; then
		# It does not find the ambit out where no rollback was before.
		ambit=
		if snapper --help | grep -q -e --ambit; then ambit='--ambit classic'; fi
		# shellcheck disable=SC2086 # nothing, or two words
		snap $ambit -c "$config" rollback --print-number --description "backout $key" --userdata "backout-rollback=$key" "$number"
		continue
	fi
	before=$how
	if [ "$how" = undochange ]; then
		before=$(snap -c "$config" create --type single --print-number --description "backout $key" --userdata "backout-before=$key")
	fi
	work=$(mktemp -d)
	changed "$config" "$number..$before" >"$work/was"
	# With nothing to undo it fails.
	[ ! -s "$work/was" ] || snap -c "$config" undochange "$number..$before"
	changed "$config" "$number..0" >"$work/now"
	left=$(comm -12 "$work/was" "$work/now")
	rm -r -- "$work"
	if [ -n "$left" ]; then
		printf 'backout: not as they were in snapshot %s: %s\n' "$number" "$left" >&2
		exit 1
	fi
	snap -c "$config" modify --userdata "backout-before=$key,backout-undone=$key" "$before"
done
sync
`

// prepared returns the baseline's numbers by config.
func (r Rollback) prepared(t backout.Task) (key string, all map[string]int, err error) {
	facts := r.snapshots(t)
	if facts == nil {
		return "", nil, fmt.Errorf("the baseline has no snapshot of %s: %s has to be a step of it, with the same configs", strings.Join(r.config.Configs, " and "), snapshotKind)
	}
	if key = facts[factKey]; !executors.IsMark(key, t.ChangeID) {
		return "", nil, errors.New("the baseline does not tell the snapshots' key")
	}
	all = map[string]int{}
	for _, name := range r.config.Configs {
		n, err := strconv.Atoi(facts[factPrefix+name])
		if err != nil || n <= 0 {
			return "", nil, fmt.Errorf("the baseline has no snapshot of %s: give %s the same configs", name, snapshotKind)
		}
		all[name] = n
	}
	return key, all, nil
}

// Preflight implements [backout.Preflighter].
func (r Rollback) Preflight(ctx context.Context, t backout.Task, h backout.Host) []backout.Violation {
	now, err := look(ctx, h, r.config.Configs)
	if err != nil {
		return []backout.Violation{{Check: "snapper", Reason: err.Error(), Fix: "see what snapper says on the target"}}
	}
	// Room is looked at for the snapshot; going back needs little.
	r.config.FreeMiB = min(64, int(r.need()>>20))
	v := r.check(now)
	if len(v) > 0 || !t.Opened {
		return v
	}
	key, all, err := r.prepared(t)
	if err != nil {
		v.Add("snapper", err.Error(), "correct the plan, and open the window anew")
		return v
	}
	for _, name := range r.config.Configs {
		if e := find(now.configs[name].list, all[name]); e == nil || e.Userdata[userBaseline] != key {
			v.Add("snapshot", fmt.Sprintf("snapshot %d of %s is gone, or is another one", all[name], name), "take the baseline anew, before anything else is patched")
		}
	}
	return v
}

func find(all []entry, number int) *entry {
	for i := range all {
		if all[i].Number == number {
			return &all[i]
		}
	}
	return nil
}

// Execute implements [backout.Executor]. With / among the configs it ends well when
// the next boot will find the snapshot; the boot itself is another step's.
func (r Rollback) Execute(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Outcome, error) {
	key, all, err := r.prepared(t)
	if err != nil {
		return backout.Outcome{}, backout.Permanent(err)
	}
	now, err := look(ctx, h, r.config.Configs)
	if err != nil {
		return backout.Outcome{}, err
	}
	args := []string{key}
	for _, name := range r.config.Configs {
		at := now.configs[name]
		if at == nil || at.why != "" {
			return backout.Outcome{}, fmt.Errorf("snapper cannot list config %s", name)
		}
		how := "undochange"
		switch state, before := at.state(key); {
		case state == backout.ProbeDone || state == backout.ProbePendingReboot:
			// Once more would go back to what an earlier attempt left.
			continue
		case at.path() == "/":
			how = "rollback"
		case before > 0:
			how = strconv.Itoa(before)
		}
		if e := find(at.list, all[name]); e == nil || e.Userdata[userBaseline] != key {
			return backout.Outcome{}, fmt.Errorf("snapshot %d of %s is gone, or is another one", all[name], name)
		}
		args = append(args, name, strconv.Itoa(all[name]), how)
	}
	outcome, err := attempt(ctx, t, h, backText, args, out)
	if err != nil {
		return outcome, err
	}
	probed, err := r.Probe(ctx, t, h)
	if err != nil {
		return outcome, err
	}
	outcome.Summary = probed.Detail
	if probed.State != backout.ProbeDone && probed.State != backout.ProbePendingReboot {
		return outcome, fmt.Errorf("snapper ended well, but: %s", probed.Detail)
	}
	return outcome, nil
}

// state is how far one config is, with the number of the snapshot that was made
// right before an undochange.
func (s *state) state(key string) (backout.ProbeState, int) {
	if s.path() == "/" {
		for _, e := range with(s.list, userRollback, key) {
			switch {
			case e.isDefault() && e.isActive():
				return backout.ProbeDone, 0
			case e.isDefault():
				return backout.ProbePendingReboot, 0
			}
		}
		return backout.ProbeNotDone, 0
	}
	made := with(s.list, userBefore, key)
	switch {
	case len(made) == 0:
		return backout.ProbeNotDone, 0
	case made[0].Userdata[userUndone] == key:
		return backout.ProbeDone, made[0].Number
	}
	return backout.ProbeBroken, made[0].Number
}

// Probe implements [backout.Prober]: for / which snapshot runs and which the next
// boot finds, for others whether the undochange is over.
func (r Rollback) Probe(ctx context.Context, t backout.Task, h backout.Host) (backout.Probed, error) {
	key, _, err := r.prepared(t)
	if err != nil {
		return backout.Probed{}, err
	}
	now, err := look(ctx, h, r.config.Configs)
	if err != nil {
		return backout.Probed{}, err
	}
	states := map[backout.ProbeState][]string{}
	for _, name := range r.config.Configs {
		at := now.configs[name]
		if at == nil || at.why != "" {
			return backout.Probed{State: backout.ProbeUnknown, Detail: "snapper cannot list config " + name}, nil
		}
		state, _ := at.state(key)
		states[state] = append(states[state], name)
	}
	some := func(state backout.ProbeState) string { return strings.Join(states[state], " ") }
	switch {
	case some(backout.ProbeBroken) != "":
		return unfinished(ctx, t, h, backout.Probed{State: backout.ProbeBroken, Detail: "half undone: " + some(backout.ProbeBroken)})
	case len(states[backout.ProbeNotDone]) == len(r.config.Configs):
		return unfinished(ctx, t, h, backout.Probed{State: backout.ProbeNotDone, Detail: "not gone back: " + some(backout.ProbeNotDone)})
	case some(backout.ProbeNotDone) != "":
		return unfinished(ctx, t, h, backout.Probed{State: backout.ProbeBroken, Detail: "not gone back: " + some(backout.ProbeNotDone)})
	case some(backout.ProbePendingReboot) != "":
		return backout.Probed{State: backout.ProbePendingReboot, Detail: "the next boot finds the snapshot of " + some(backout.ProbePendingReboot)}, nil
	}
	return backout.Probed{State: backout.ProbeDone, Detail: "gone back: " + some(backout.ProbeDone)}, nil
}

// Loses implements [backout.Loser]: what is lost, with its age.
func (r Rollback) Loses(_ context.Context, t backout.Task, _ backout.Host) (string, error) {
	what := "data written to what snapper calls " + strings.Join(r.config.Configs, " and ")
	facts := r.snapshots(t)
	if facts == nil {
		return what + " since the snapshot that is made when the window opens", nil
	}
	made, err := time.Parse(time.RFC3339, facts[factMade])
	if err != nil {
		return what + " since its snapshot", nil //nolint:nilerr // a baseline without the time still has the snapshot
	}
	return fmt.Sprintf("%s since %s (%s ago)", what, made.UTC().Format("2006-01-02T15:04Z"), backout.Duration(time.Since(made).Truncate(time.Minute))), nil
}
