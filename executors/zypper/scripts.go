package zypper

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/internal/sections"
	"github.com/backout-io/backout/internal/tail"
)

var (
	//go:embed common.sh
	commonText string
	//go:embed look.sh
	lookText string
	//go:embed undo.sh
	undoText string
	//go:embed prepare.sh
	prepareText string
)

func script(text string, args ...string) backout.Exec {
	return backout.Exec{Argv: append([]string{"sh", "-c", commonText + text, "sh"}, args...)}
}

// look runs a script that looks, and reads its answer.
func look(ctx context.Context, h backout.Host, e backout.Exec) ([]sections.Section, error) {
	r, err := h.Run(ctx, e)
	switch {
	case err != nil:
		return nil, fmt.Errorf("look at zypper: %w", err)
	case r.ExitCode != 0:
		return nil, fmt.Errorf("look at zypper: exit code %d: %s", r.ExitCode, strings.TrimSpace(string(r.Stderr)))
	}
	all, err := sections.Parse(string(r.Stdout))
	if err != nil {
		return nil, fmt.Errorf("look at zypper: %w", err)
	}
	return all, nil
}

// installedNow asks rpm.
func installedNow(ctx context.Context, h backout.Host) (installed, error) {
	all, err := look(ctx, h, script(sections.Shell+"printf '=begin\\n'; say rpm installed; printf '=end\\n'\n"))
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		if s.Name == "rpm" {
			if s.Failed != "" {
				return nil, fmt.Errorf("rpm -qa: exit code %s: %s", s.Failed, s.Text())
			}
			return parseRPM(s.Lines)
		}
	}
	return nil, fmt.Errorf("look at zypper: the answer has no packages")
}

// locksOf keeps the lines of the output that tell of locks.
type locksOf struct{ line, kept bytes.Buffer }

// Write implements [io.Writer].
func (l *locksOf) Write(p []byte) (int, error) {
	for part := range bytes.Lines(p) {
		l.line.Write(part)
		if part[len(part)-1] == '\n' {
			if bytes.HasPrefix(l.line.Bytes(), []byte("backout-lock ")) {
				l.kept.Write(l.line.Bytes())
			}
			l.line.Reset()
		}
	}
	return len(p), nil
}

// attempt runs a script under the task's attempt. Codes of work that is done come
// back without an error.
func attempt(ctx context.Context, t backout.Task, h backout.Host, e backout.Exec, out io.Writer) (backout.Outcome, error) {
	var said tail.Writer
	e.Env = executors.Facts(t)
	outcome, err := executors.Attempt(ctx, t, h, e, io.MultiWriter(out, &said))
	switch {
	case err == nil || outcome.ExitCode == 0 || conditional(outcome.ExitCode):
		if conditional(outcome.ExitCode) {
			err = nil
		}
		return outcome, err
	case outcome.ExitCode == 90:
		return outcome, fmt.Errorf("the packages are back, but could not be locked: %s", said.Lines(2))
	}
	reason, _ := meaning(fmt.Sprint(outcome.ExitCode))
	return outcome, fmt.Errorf("%s: %s", reason, said.Lines(3))
}
