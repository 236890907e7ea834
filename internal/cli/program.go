package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/cli/view"
	"github.com/backout-io/backout/internal/client"
)

// defaultServer is where serve listens when nothing else was said.
const defaultServer = "http://127.0.0.1:8420"

// program is one run of the command line: its surroundings and global flags.
type program struct {
	Options
	format    string
	server    string
	tokenFile string
}

// Run runs the command line args (without the program's name) and returns the
// exit code. ctx ends with the signal that interrupts.
func Run(ctx context.Context, args []string, o Options) int {
	p := newProgram(o)
	root := p.root()
	root.SetArgs(args)
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	err := root.ExecuteContext(ctx)
	p.report(err)
	return exitCode(err)
}

func newProgram(o Options) *program {
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	if o.Stdin == nil {
		o.Stdin = strings.NewReader("")
	}
	if o.Poll == 0 {
		o.Poll = 2 * time.Second
	}
	return &program{Options: o}
}

// report prints what went wrong: for people as "backout: what: what to do", for
// machines as one JSON object. Nothing is printed twice.
func (p *program) report(err error) {
	var said statusError
	if err == nil || errors.As(err, &said) {
		return
	}
	var answer *client.Error
	refused := errors.As(err, &answer)
	if p.format == "json" {
		p.reportJSON(err, answer)
		return
	}
	if refused && len(answer.Violations) > 0 {
		what := "the window stays shut"
		if no := (shutError{}); errors.As(err, &no) {
			what = no.what
		}
		_, _ = fmt.Fprintln(p.Stderr, "backout: refused: "+what)
		_, _ = io.WriteString(p.Stderr, view.Violations(answer.Violations, p.style(p.Stderr)))
		return
	}
	if refused && len(answer.Problems) > 0 {
		_, _ = fmt.Fprintln(p.Stderr, "backout: "+view.Clean(answer.Message))
		_, _ = io.WriteString(p.Stderr, view.Problems(answer.Problems, p.style(p.Stderr)))
		return
	}
	_, _ = fmt.Fprintln(p.Stderr, "backout: "+errorLine(err))
}

func errorLine(err error) string {
	line := view.Clean(strings.TrimRight(err.Error(), "\n"))
	if do := advice(err); do != "" {
		line += ": " + do
	}
	if errors.Is(err, errUsage) {
		line += " (see --help)"
	}
	return line
}

func (p *program) reportJSON(err error, answer *client.Error) {
	body := client.Error{ErrorBody: handlers.ErrorBody{Message: err.Error()}}
	if answer != nil {
		body = *answer
	}
	_ = writeJSON(p.Stderr, struct {
		Error    client.Error `json:"error"`
		ExitCode int          `json:"exit_code"`
	}{body, exitCode(err)}, true)
}

// print writes v as JSON, or the text for people; text is only called then.
func (p *program) print(v any, text func(s view.Style) string) error {
	if p.format == "json" {
		return writeJSON(p.Stdout, v, true)
	}
	_, err := io.WriteString(p.Stdout, text(p.style(p.Stdout)))
	return err
}

// writeJSON writes one JSON value in which no character can move a cursor: those
// are written as escapes, which read back as the same text.
func writeJSON(w io.Writer, v any, indent bool) error {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if indent {
		enc.SetIndent("", "  ")
	}
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode output: %w", err)
	}
	_, err := io.WriteString(w, escapeUnsafe(b.String()))
	return err
}

func escapeUnsafe(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || !view.Unsafe(r):
			b.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// items is how lists are written as JSON: never null.
func items[T any](list []T) any {
	if list == nil {
		list = []T{}
	}
	return struct {
		Items []T `json:"items"`
	}{list}
}

// style says what can be shown on w.
func (p *program) style(w io.Writer) view.Style {
	s := view.Style{Zone: time.Local}
	fd, ok := terminal(w)
	if !ok {
		return s
	}
	s.Width, s.Height, _ = term.GetSize(fd)
	s.Colour = p.Getenv("NO_COLOR") == "" && p.Getenv("TERM") != "dumb"
	s.Unicode = utf8Locale(p.Getenv)
	return s
}

// terminal returns the file descriptor of a terminal.
func terminal(v any) (int, bool) {
	f, ok := v.(*os.File)
	if !ok {
		return 0, false
	}
	fd := int(f.Fd())
	return fd, term.IsTerminal(fd)
}

// utf8Locale follows POSIX: the first of LC_ALL, LC_CTYPE and LANG that is set
// decides.
func utf8Locale(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := getenv(name); v != "" {
			v = strings.ToUpper(v)
			return strings.Contains(v, "UTF-8") || strings.Contains(v, "UTF8")
		}
	}
	return false
}

// client connects to the server the flags or the environment name.
func (p *program) client() (*client.Client, error) {
	token, err := p.token()
	if err != nil {
		return nil, err
	}
	return p.clientWith(token)
}

// clientWith is client with a token of the caller's.
func (p *program) clientWith(token backout.Secret) (*client.Client, error) {
	c, err := client.New(client.Options{Server: p.server, Token: token, UserAgent: "backout-cli/" + buildVersion().Version})
	if errors.Is(err, backout.ErrInvalid) {
		return nil, usageError{err.Error()}
	}
	return c, err
}

// token is read from the file or the environment, never from the command line,
// which every user of the machine can see. With neither it is that of the session that
// was begun here, if one was.
func (p *program) token() (backout.Secret, error) {
	if p.tokenFile == "" {
		if token := strings.TrimSpace(p.Getenv("BACKOUT_TOKEN")); token != "" {
			return backout.SecretValue(token), nil
		}
		return p.sessionToken()
	}
	raw, err := os.ReadFile(p.tokenFile)
	if err != nil {
		return backout.Secret{}, fmt.Errorf("read token file: %w", err)
	}
	value := strings.TrimSpace(string(raw))
	if value == "" {
		return backout.Secret{}, fmt.Errorf("read token file %s: it is empty", p.tokenFile)
	}
	if strings.ContainsAny(value, "\r\n") {
		return backout.Secret{}, fmt.Errorf("read token file %s: it holds more than one line", p.tokenFile)
	}
	return backout.SecretValue(value), nil
}

// withTimeout bounds a waiting command; 0 waits for ever.
func withTimeout(cmd *cobra.Command, d time.Duration) (context.Context, context.CancelFunc) {
	if d <= 0 {
		return context.WithCancel(cmd.Context())
	}
	return context.WithTimeoutCause(cmd.Context(), d, fmt.Errorf("%w: %s are over", errTimeout, backout.Duration(d)))
}

// ended turns the end of a context into its cause.
func ended(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
