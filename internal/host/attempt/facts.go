package attempt

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// Facts are what a target holds of one attempt, each as its file or /proc has
// it; empty means that it is not there.
type Facts struct {
	// Seen is whether the attempt's directory exists.
	Seen bool
	// Boot is the target's boot id now.
	Boot string
	// Claim, PID and Result are the contents of the files claim, pid and rc.
	Claim, PID, Result string
	// Unused is whether the file unused exists.
	Unused bool
	// Supervisor and Command are state and start time ("S 12345") of the
	// processes that claim and pid name, now.
	Supervisor, Command string
}

// DetailUnsupervised belongs to an [backout.AttemptRunning] whose supervisor was
// killed.
const DetailUnsupervised = "its supervisor is gone: the exit code will not be known"

// Details of [backout.AttemptUnknown].
const (
	DetailRebooted     = "rebooted"
	DetailGone         = "process gone"
	DetailNeverStarted = "claimed, but its command was never started"
	DetailNoRecord     = "claimed, but nothing else was recorded"
	DetailUnreadable   = "its record cannot be read"
)

// Report says what became of the attempt. Result is to be read after the
// processes were looked at: the supervisor writes it before it ends.
func (f Facts) Report() backout.AttemptReport {
	r := f.state()
	r.Boot = f.Boot
	if claim := strings.Fields(f.Claim); len(claim) == 3 {
		r.ClaimBoot = claim[0]
	}
	return r
}

func (f Facts) state() backout.AttemptReport {
	unknown := func(detail string) backout.AttemptReport {
		return backout.AttemptReport{State: backout.AttemptUnknown, Detail: detail}
	}
	if !f.Seen {
		return backout.AttemptReport{State: backout.AttemptNotStarted}
	}
	if f.Result != "" {
		code, at, err := parseResult(f.Result)
		if err != nil {
			return unknown(DetailUnreadable)
		}
		return backout.AttemptReport{State: backout.AttemptFinished, ExitCode: code, FinishedAt: at}
	}
	claim := strings.Fields(f.Claim)
	if len(claim) == 0 {
		return unknown(DetailNoRecord)
	}
	if len(claim) != 3 || f.Boot == "" {
		return unknown(DetailUnreadable)
	}
	if claim[0] != f.Boot {
		return unknown(DetailRebooted)
	}
	if alive(f.Supervisor, claim[2]) {
		return backout.AttemptReport{State: backout.AttemptRunning}
	}
	if pid := strings.Fields(f.PID); len(pid) == 2 && alive(f.Command, pid[1]) {
		return backout.AttemptReport{State: backout.AttemptRunning, Detail: DetailUnsupervised}
	}
	if f.Unused {
		return unknown(DetailNeverStarted)
	}
	return unknown(DetailGone)
}

func alive(process, start string) bool {
	state, since, ok := strings.Cut(process, " ")
	return ok && since == start && state != "Z" && state != "X"
}

func parseResult(line string) (int, time.Time, error) {
	fields := strings.Fields(line)
	if len(fields) != 2 {
		return 0, time.Time{}, fmt.Errorf("result %q: want exit code and seconds", line)
	}
	code, err := strconv.ParseUint(fields[0], 10, 8)
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("result %q: exit code: %w", line, err)
	}
	at, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("result %q: end: %w", line, err)
	}
	return int(code), time.Unix(at, 0), nil
}

// ProcessLine takes state and start time out of /proc/PID/stat. The command's
// name in it, between parentheses, may hold anything.
func ProcessLine(stat string) string {
	end := strings.LastIndex(stat, ") ")
	if end < 0 {
		return ""
	}
	fields := strings.Fields(stat[end+2:])
	if len(fields) < 20 {
		return ""
	}
	return fields[0] + " " + fields[19]
}

// The answer stands between two marks: half of one is never taken for the whole,
// and what sudo or a start-up file says before does not matter.
const (
	factsBegin = "backout-facts-begin"
	factsEnd   = "backout-facts-end"
)

// ParseFacts reads the answer of [Script.Probe] and of the end of
// [Script.Attach].
func ParseFacts(answer string) (Facts, error) {
	begin := strings.LastIndex(answer, factsBegin+"\n")
	body, ok := strings.CutSuffix(strings.TrimRight(answer[max(begin, 0):], "\n"), factsEnd)
	body = strings.TrimPrefix(body, factsBegin+"\n")
	if begin < 0 || !ok {
		return Facts{}, fmt.Errorf("the target's answer %s is not whole", shorten(answer))
	}
	var f Facts
	into := map[string]*string{
		"boot": &f.Boot, "claim": &f.Claim, "pid": &f.PID, "rc": &f.Result, "supervisor": &f.Supervisor, "command": &f.Command,
	}
	for line := range strings.Lines(body) {
		key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		switch field := into[key]; {
		case !ok:
			return Facts{}, fmt.Errorf("the target's answer has the line %s", shorten(line))
		case key == "seen":
			f.Seen = value == "1"
		case key == "unused":
			f.Unused = value == "1"
		case field == nil:
			return Facts{}, fmt.Errorf("the target's answer has the line %s", shorten(line))
		default:
			*field = value
		}
	}
	if f.Seen && f.Boot == "" {
		return Facts{}, errors.New("the target tells no boot id: only Linux is supported")
	}
	return f, nil
}

func shorten(s string) string {
	const most = 200
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strconv.Quote(s)
}
