package http

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/internal/tail"
)

// Kind is the executor "http.request".
func Kind() executors.Kind {
	k := executors.Define("http.request", "ask an API to put the target back, and wait until it has", func(_ context.Context, c Config) (backout.Executor, error) {
		return Request{c}, nil
	})
	k.OnRunner = true
	return k
}

// Request is one configured request.
type Request struct{ c Config }

var (
	_ backout.Executor    = Request{}
	_ backout.Preflighter = Request{}
)

// Execute implements [backout.Executor]. The host is the runner's own machine.
func (r Request) Execute(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Outcome, error) {
	w, err := r.work(t)
	if err != nil {
		return backout.Outcome{}, backout.Permanent(err)
	}
	e, err := w.exec()
	if err != nil {
		return backout.Outcome{}, backout.Permanent(err)
	}
	said := &tail.Writer{Limit: 64 << 10} // what matters stands at its end
	outcome, err := executors.Attempt(ctx, t, h, e, io.MultiWriter(out, said))
	if last := lastLine(string(said.Bytes())); last != "" {
		outcome.Summary = last
	}
	switch {
	case err != nil && outcome.ExitCode == exitDoubt:
		return outcome, fmt.Errorf("%w: %s", backout.ErrInDoubt, outcome.Summary)
	case err != nil && outcome.ExitCode == exitFailed:
		return outcome, fmt.Errorf("%s", outcome.Summary)
	}
	return outcome, err
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// work fills in what is known of the task.
func (r Request) work(t backout.Task) (work, error) {
	values := map[string]string{
		"{target}": t.Target.Name, "{address}": host(t.Target), "{change_id}": t.ChangeID, "{rollback_id}": t.RollbackID, "{attempt}": t.AttemptID,
	}
	fillURL := func(text string) string {
		path, query, _ := strings.Cut(text, "?")
		path = placeholder.ReplaceAllStringFunc(path, func(p string) string { return orSame(values, p, url.PathEscape) })
		if query = placeholder.ReplaceAllStringFunc(query, func(p string) string { return orSame(values, p, url.QueryEscape) }); query != "" {
			return path + "?" + query
		}
		return path
	}
	body, err := encode(r.c.Body, func(text string) string {
		return placeholder.ReplaceAllStringFunc(text, func(p string) string { return orSame(values, p, func(s string) string { return s }) })
	})
	if err != nil {
		return work{}, fmt.Errorf("encode body: %w", err)
	}
	w := work{
		Method: r.c.Method, URL: fillURL(r.c.URL), Headers: map[string]string{}, Body: body, Expect: r.c.Expect, Repeat: r.c.Repeat, CAFile: r.c.CAFile,
		Deadline: t.Deadline, Token: r.c.Token.Reveal(), User: r.c.User, Password: r.c.Password.Reveal(),
	}
	if w.Method == "" {
		w.Method = http.MethodPost
	}
	for name, value := range r.c.Headers {
		w.Headers[name] = value
	}
	key := r.c.IdempotencyHeader
	if key == "" {
		key = "Idempotency-Key"
	}
	w.Headers[key] = t.AttemptID
	if p := r.c.Poll; p != nil {
		w.Poll = &pollWork{URL: fillURL(p.URL), Field: p.Field, Done: p.Done, Failed: p.Failed, Every: time.Duration(p.Every)}
		if w.Poll.Every <= 0 {
			w.Poll.Every = 10 * time.Second
		}
	}
	return w, nil
}

func orSame(values map[string]string, p string, escape func(string) string) string {
	if v, ok := values[p]; ok {
		return escape(v)
	}
	return p
}

func host(t backout.Target) string {
	address := t.Address
	if address == "" {
		address = t.Name
	}
	if u, err := url.Parse("//" + address); err == nil && u.Port() != "" {
		return u.Hostname()
	}
	return address
}

// Program is the first argument by which this program is the one that asks.
const Program = "http-request"

// workEnv carries the work, secrets included: what is in an environment only the
// same user and root can read, and nothing of it is on a disk.
const workEnv = "BACKOUT_HTTP_WORK"

// exec is the command line of the process that asks.
func (w work) exec() (backout.Exec, error) {
	self, err := os.Executable()
	if err != nil {
		return backout.Exec{}, fmt.Errorf("find this program: %w", err)
	}
	data, err := json.Marshal(w)
	if err != nil {
		return backout.Exec{}, fmt.Errorf("encode work: %w", err)
	}
	// After an upgrade the file is another one of the same name.
	return backout.Exec{Argv: []string{strings.TrimSuffix(self, " (deleted)"), Program}, Env: map[string]string{workEnv: string(data)}}, nil
}

// Preflight implements [backout.Preflighter]: the API answers, takes the secret, and
// has what ready asks for.
func (r Request) Preflight(ctx context.Context, t backout.Task, _ backout.Host) []backout.Violation {
	no := func(fix, format string, args ...any) []backout.Violation {
		return []backout.Violation{{Check: "api", Target: t.Target.Name, Level: t.Level, Reason: fmt.Sprintf(format, args...), Fix: fix}}
	}
	const correct = "correct the step, or make the API ready"
	w, err := r.work(t)
	if err != nil {
		return no("correct body", "%v", err)
	}
	if r.c.Ready == nil {
		w.Method, w.Body = http.MethodHead, nil
		answer, err := w.ask(ctx, w.Method, w.URL)
		switch {
		case err != nil:
			return no("make the API reachable from the runner", "%v", err)
		case answer.status == 401 || answer.status == 403 || answer.status == 404 || answer.status >= 500:
			return no(correct, "HEAD of %s answers %d", w.URL, answer.status)
		}
		return nil
	}
	ready, want := *r.c.Ready, r.c.Ready.Expect
	if want == 0 {
		want = http.StatusOK
	}
	probe := Request{Config{URL: ready.URL}}
	filled, err := probe.work(t)
	if err != nil {
		return no(correct, "%v", err)
	}
	w.Body = nil
	answer, err := w.ask(ctx, http.MethodGet, filled.URL)
	switch {
	case err != nil:
		return no("make the API reachable from the runner", "%v", err)
	case answer.status != want:
		return no(correct, "GET of %s answers %d, want %d", filled.URL, answer.status, want)
	case ready.Field == "":
		return nil
	}
	if got, ok := answer.field(ready.Field); !ok || got != ready.Equals {
		return no(correct, "%s of %s is %q, want %q", ready.Field, filled.URL, got, ready.Equals)
	}
	return nil
}
