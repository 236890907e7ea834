package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/client"
)

// The exit codes. Scripts depend on them: they never change their meaning.
const (
	ExitDone            = 0
	ExitFailed          = 1
	ExitUsage           = 2
	ExitRefused         = 3
	ExitUnauthenticated = 4
	ExitTimeout         = 5
	ExitHeld            = 6
	ExitDrifted         = 7
	ExitInterrupted     = 130
)

// exitCodes is the table people read; see exitCodesHelp.
var exitCodes = []struct {
	code    int
	meaning string
}{
	{ExitDone, "done"},
	{ExitFailed, "failed, or findings: a problem in a file, a rollback that did not bring everything back, a patch command that failed"},
	{ExitUsage, "usage: the command line is wrong"},
	{ExitRefused, "refused by the gate, by policy or by the pause switch; the reasons are printed"},
	{ExitUnauthenticated, "not authenticated, or not allowed: the server wants a token, another one, or another role"},
	{ExitTimeout, "timed out waiting (--timeout)"},
	{ExitHeld, "held: the rollback needs a human"},
	{ExitDrifted, "drifted: a target is healthy, but differs from its baseline"},
	{ExitInterrupted, "interrupted by a signal"},
}

func exitCodesHelp() string {
	var b strings.Builder
	b.WriteString("Every command ends with one of these exit codes. Scripts may depend on them.\n\n")
	for _, e := range exitCodes {
		fmt.Fprintf(&b, "  %-4d %s\n", e.code, e.meaning)
	}
	b.WriteString("\n\"change run\" prints the patch command's own exit code and ends with 0 when it was 0, else with 1.\n")
	b.WriteString("\"rollback watch\" ends with 0 recovered or cancelled, 1 exhausted or aborted, 6 held, 5 when --timeout is over.\n")
	b.WriteString("\"drift\" and \"baseline diff --now\" end with 0 when every target is back to its baseline, 7 when one is healthy but drifted, 1 when one is not back.\n")
	return b.String()
}

// Errors of the command line itself.
var (
	errUsage   = errors.New("usage")
	errTimeout = errors.New("timed out waiting")
	errHeld    = errors.New("held")
	errMissing = errors.New("not part of this build")
)

// ErrStoreInUse says that a running server holds the store.
var ErrStoreInUse = errors.New("a server holds the store")

// statusError ends a command with a code after everything was said already.
type statusError struct{ code int }

func (e statusError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// shutError is a no with violations that concerns something else than a window.
type shutError struct {
	what string
	err  error
}

func (e shutError) Error() string { return e.err.Error() }
func (e shutError) Unwrap() error { return e.err }

// usageError is a wrong command line, in words.
type usageError struct{ msg string }

func (e usageError) Error() string { return e.msg }
func (usageError) Unwrap() error   { return errUsage }

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// exitCode is the one table from errors to codes.
func exitCode(err error) int {
	var status statusError
	switch {
	case err == nil:
		return ExitDone
	case errors.As(err, &status):
		return status.code
	case errors.Is(err, errUsage):
		return ExitUsage
	case errors.Is(err, client.ErrUnauthenticated), errors.Is(err, client.ErrForbidden), errors.Is(err, client.ErrPlainToken):
		return ExitUnauthenticated
	case errors.Is(err, backout.ErrRefused), errors.Is(err, backout.ErrPaused):
		return ExitRefused
	case errors.Is(err, errTimeout):
		return ExitTimeout
	case errors.Is(err, errHeld):
		return ExitHeld
	case errors.Is(err, context.Canceled):
		return ExitInterrupted
	}
	return ExitFailed
}

// advice says what to do about an error whose text does not say it.
func advice(err error) string {
	var connect *client.ConnectError
	switch {
	case errors.As(err, &connect):
		return "is the server running? name it with --server or BACKOUT_SERVER"
	case errors.Is(err, client.ErrUnauthenticated):
		return "sign in with \"backout login\", or give a token with --token-file, BACKOUT_TOKEN_FILE or BACKOUT_TOKEN"
	case errors.Is(err, backout.ErrUnavailable):
		return "try again later"
	case errors.Is(err, backout.ErrConflict):
		return "look at it again, then repeat"
	case errors.Is(err, backout.ErrPaused):
		return "see \"backout pause --status\""
	}
	return ""
}
