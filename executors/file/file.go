// Package file puts files back as they were at the baseline: content, mode, owner,
// extended attributes and security labels.
//
//	uses: file.restore
//	with: {files: [/etc/nginx/nginx.conf, "/etc/nginx/conf.d/*.conf"]}
//
// The files are copied on the target before the patch. Each is replaced whole, by a
// rename within its folder; what it replaces is kept beside the copies until the
// change is cleaned up. Files that have come since are told of and stay. Links are
// kept and restored as links, and nothing is written through one that leads
// elsewhere than at the baseline. Other names of a file (hard links) keep the
// patch's content.
package file

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/internal/host/attempt"
	"github.com/backout-io/backout/internal/tail"
)

// Name is what a step's "uses" calls it.
const Name = "file.restore"

// Config is the section of a step.
type Config struct {
	Files []string `json:"files" yaml:"files" doc:"absolute paths of files, or patterns of them; folders are not descended into"`
}

// Kind is file.restore.
func Kind() executors.Kind {
	k := executors.Define(Name, "put files back as they were at the baseline",
		func(_ context.Context, c Config) (backout.Executor, error) { return Restore{c.Files}, nil })
	k.Loses = "changes to these files since the baseline"
	return k
}

const mostPatterns = 100

// Validate refuses what is not an absolute path or a pattern of such.
func (c *Config) Validate() error {
	if len(c.Files) == 0 || len(c.Files) > mostPatterns {
		return fmt.Errorf("files has %d entries: want 1 to %d paths or patterns", len(c.Files), mostPatterns)
	}
	for _, p := range c.Files {
		_, bad := path.Match(p, "")
		switch {
		case !strings.HasPrefix(p, "/") || path.Clean(p) != p || p == "/":
			return fmt.Errorf("files: %q is not an absolute path without . and .. and double slashes", p)
		case strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }):
			return fmt.Errorf("files: %q has a backslash or a control character: use ? in its place", p)
		case bad != nil:
			return fmt.Errorf("files: %q is not a pattern: close the bracket", p)
		}
	}
	return nil
}

// Restore is one configured step.
type Restore struct{ files []string }

var (
	_ backout.Executor    = Restore{}
	_ backout.Preflighter = Restore{}
	_ backout.Preparer    = Restore{}
	_ backout.Prober      = Restore{}
	_ backout.Cleaner     = Restore{}
	_ backout.Privileged  = Restore{}
)

//go:embed file.sh
var text string

// Sudo implements [backout.Privileged].
func (r Restore) Sudo() []string { return []string{"/bin/sh", "/usr/bin/sh"} }

// id names what this step keeps among that of others of the same change.
func (r Restore) id() string {
	return fmt.Sprintf("files-%x", sha256.Sum256([]byte(strings.Join(r.files, "\n"))))[:18]
}

// script is a command line of the script.
func (r Restore) script(t backout.Task, verb string) (backout.Exec, error) {
	if err := attempt.CheckID(t.ChangeID); err != nil {
		return backout.Exec{}, backout.Permanent(fmt.Errorf("the change's id names a folder on the target: %w", err))
	}
	argv := append([]string{"sh", "-c", text, "sh", verb, t.ChangeID, r.id(), r.kept(t)}, r.files...)
	return backout.Exec{Argv: argv}, nil
}

var digest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// kept is the digest of the list of what this step has kept, or empty.
func (r Restore) kept(t backout.Task) string {
	facts := t.PreparedBy(Name, func(facts map[string]string) bool { return facts["id"] == r.id() })
	if list := facts["list"]; digest.MatchString(list) {
		return list
	}
	return ""
}

// ask runs a verb that only looks; what it says is sorted by word.
func (r Restore) ask(ctx context.Context, t backout.Task, h backout.Host, verb string) (map[string][]string, error) {
	e, err := r.script(t, verb)
	if err != nil {
		return nil, err
	}
	answer, err := h.Run(ctx, e)
	if err != nil {
		return nil, fmt.Errorf("look at the files: %w", err)
	}
	said := map[string][]string{}
	for line := range strings.Lines(string(answer.Stdout)) {
		word, value, ok := strings.Cut(strings.TrimRight(line, "\n"), "|")
		if !ok {
			return nil, fmt.Errorf("look at the files: the answer has the line %q", line)
		}
		said[word] = append(said[word], strings.ToValidUTF8(value, "?"))
	}
	if answer.ExitCode != 0 && len(said["missing"]) == 0 {
		return nil, fmt.Errorf("look at the files: exit code %d: %s%s", answer.ExitCode, strings.Join(said["failed"], "; "), attempt.Trim(answer.Stderr))
	}
	return said, nil
}

// reasons are what the script says of files, with what follows from it.
var reasons = []struct{ word, reason, fix string }{
	{"missing", "not there: %s", "install coreutils and mawk on the target"},
	{"none", "there is no file %s", "correct the path, or leave it out"},
	{"folder", "%s is a folder", "name its files: the folder with /*"},
	{"special", "%s is neither a file nor a link", "leave it out"},
	{"odd", "a file's name has a tab or a line break: %s", "narrow the pattern"},
	{"unreadable", "%s cannot be read", "connect as root, or set sudo for the target's transport"},
	{"readonly", "the folder of %s cannot be written to", "connect as root, or set sudo for the target's transport"},
	{"foreign", "%s belongs to another user, who only root could give it back to", "connect as root, or set sudo for the target's transport"},
	{"nostash", "copies cannot be kept below %s", "connect as root, or make the folder writable"},
	{"spoilt", "the copy is not the one that was kept: %s", "find out who changes the kept copies; capture the baseline again before the patch"},
	{"elsewhere", "the folder of %s leads elsewhere than at the baseline", "find out who has put a link into its path"},
}

// Limits of what one step keeps.
const (
	mostFiles = 2000
	spare     = 16 << 20
)

// Preflight implements [backout.Preflighter].
func (r Restore) Preflight(ctx context.Context, t backout.Task, h backout.Host) []backout.Violation {
	verb := "look"
	if r.kept(t) != "" {
		verb = "check"
	}
	no := func(check, reason, fix string) backout.Violation {
		return backout.Violation{Check: check, Reason: reason, Fix: fix}
	}
	if verb == "look" && t.Delta != nil {
		return []backout.Violation{no("files", "nothing was kept before the patch", "go back by a snapshot; prepare the next change by opening its window with backout")}
	}
	said, err := r.ask(ctx, t, h, verb)
	if err != nil {
		return []backout.Violation{no("files", err.Error(), "the target must be reachable")}
	}
	var v []backout.Violation
	for _, row := range reasons {
		if names := said[row.word]; len(names) > 0 {
			v = append(v, no("files", fmt.Sprintf(row.reason, some(names)), row.fix))
		}
	}
	if verb == "check" || len(v) > 0 {
		return v
	}
	var files, bytes, room int64
	_, errFiles := fmt.Sscan(strings.Join(said["files"], ""), &files, &bytes)
	room, errRoom := strconv.ParseInt(strings.Join(said["room"], ""), 10, 64)
	switch {
	case errFiles != nil || errRoom != nil:
		v = append(v, no("files", "df or stat of the target says what cannot be read", "install coreutils on the target"))
	case files > mostFiles:
		v = append(v, no("files", fmt.Sprintf("%d files fit, at most %d are kept", files, mostFiles), "narrow the patterns"))
	case room<<10 < bytes+spare:
		v = append(v, no("space", fmt.Sprintf("the copies need %d MiB, %d MiB are free", (bytes+spare)>>20, room>>10), "make room in /var/lib/backout"))
	}
	return v
}

// some names a few of many.
func some(names []string) string {
	const few = 8
	if len(names) > few {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
	}
	return strings.Join(names, ", ")
}

// Prepare implements [backout.Preparer].
func (r Restore) Prepare(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Prepared, error) {
	made := backout.Prepared{Uses: Name}
	if err := r.run(ctx, t, h, "keep", out); err != nil {
		return made, err
	}
	said, err := r.ask(ctx, t, h, "sum")
	if err != nil {
		return made, err
	}
	list, files, _ := strings.Cut(strings.Join(said["list"], ""), " ")
	if !digest.MatchString(list) {
		return made, errors.New("what was kept cannot be read back from the target")
	}
	made.Facts = map[string]string{"id": r.id(), "list": list, "files": files}
	return made, nil
}

// run runs a verb as the task's attempt; its failure says why.
func (r Restore) run(ctx context.Context, t backout.Task, h backout.Host, verb string, out io.Writer) error {
	_, err := r.attempt(ctx, t, h, verb, out)
	return err
}

func (r Restore) attempt(ctx context.Context, t backout.Task, h backout.Host, verb string, out io.Writer) (backout.Outcome, error) {
	e, err := r.script(t, verb)
	if err != nil {
		return backout.Outcome{}, err
	}
	reason := tail.Writer{Limit: 1 << 10}
	o, err := executors.Attempt(ctx, t, h, e, io.MultiWriter(out, &reason))
	if err != nil && o.ExitCode != 0 {
		return o, fmt.Errorf("exit code %d: %s", o.ExitCode, last(reason.Bytes()))
	}
	return o, err
}

// last is the last line of an attempt's output: the reason of its failure.
func last(output []byte) string {
	text := strings.TrimSpace(strings.ToValidUTF8(string(output), "?"))
	return strings.TrimPrefix(text[strings.LastIndexByte(text, '\n')+1:], "failed|")
}

// Execute implements [backout.Executor]. It may be repeated after one that was
// killed: what is right already stays.
func (r Restore) Execute(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Outcome, error) {
	if r.kept(t) == "" {
		return backout.Outcome{}, backout.Permanent(errors.New("nothing was kept of these files before the patch"))
	}
	o, err := r.attempt(ctx, t, h, "restore", out)
	if err != nil {
		return o, err
	}
	p, err := r.Probe(ctx, t, h)
	if err == nil && p.State != backout.ProbeDone {
		err = fmt.Errorf("the files were restored, but %s", p.Detail)
	}
	o.Summary = p.Detail
	return o, err
}

// Probe implements [backout.Prober]: kind, mode, owner and content of every file
// decide.
func (r Restore) Probe(ctx context.Context, t backout.Task, h backout.Host) (backout.Probed, error) {
	if r.kept(t) == "" {
		return backout.Probed{State: backout.ProbeUnknown, Detail: "nothing was kept of these files before the patch"}, nil
	}
	report, err := h.Probe(ctx, t.AttemptID)
	if err != nil {
		return backout.Probed{}, err
	}
	if report.State == backout.AttemptRunning {
		return backout.Probed{State: backout.ProbeInProgress, Detail: "files are being restored"}, nil
	}
	said, err := r.ask(ctx, t, h, "probe")
	if err != nil {
		return backout.Probed{}, err
	}
	right, wrong := strings.Join(said["right"], ""), said["wrong"]
	switch {
	case len(said["missing"]) > 0 || len(said["nolist"]) > 0 || right == "":
		return backout.Probed{State: backout.ProbeUnknown, Detail: "the list of kept files is not on the target as it was made"}, nil
	case len(wrong) > 0:
		// Each file is replaced whole, so there is no half way.
		return backout.Probed{State: backout.ProbeNotDone, Detail: "not as at the baseline: " + some(wrong)}, nil
	}
	detail := right + " files are as at the baseline"
	if added := said["added"]; len(added) > 0 {
		detail += "; new since then, and left: " + some(added)
	}
	return backout.Probed{State: backout.ProbeDone, Detail: detail}, nil
}

// Cleanup implements [backout.Cleaner].
func (r Restore) Cleanup(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) error {
	return r.run(ctx, t, h, "clean", out)
}
