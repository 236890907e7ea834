// Package ansible runs a playbook for one target, from the machine of the runner.
//
//	uses: ansible.playbook
//	with:
//	  playbook: /srv/ansible/undo-patch.yml
//	  inventory: /srv/ansible/hosts
//	  vars: {release: "2.7"}
//
// # What it promises
//
// One target, and no other: the playbook is limited to it, and the gate asks
// ansible-playbook which hosts that are. Without an inventory the target itself is the
// whole inventory. The process runs under the attempt on the runner's machine, and is
// found again there after a restart of backout. Ended with 0 means that every task of
// the target did; a playbook that matched no host is a failure, although ansible ends
// with 0 then.
//
// A playbook is a program of its author: whether it can be run twice, and whether
// --check says anything of it, only he knows. Ask for check: true where it does, and
// the gate runs it so.
//
// # What is trusted
//
// The playbook sees the target's name, the ids of change, rollback and attempt and the
// level as variables backout_target, backout_change_id and so on, never a text from an
// alert: Ansible reads templates in variables.
package ansible

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/internal/tail"
)

// Config is the section of a step.
type Config struct {
	// Playbook is an absolute path on the runner's machine.
	Playbook string `json:"playbook" yaml:"playbook" doc:"the playbook, an absolute path on the machine of the runner"`
	// Inventory is an absolute path too; empty makes one of the target alone.
	Inventory string `json:"inventory,omitempty" yaml:"inventory,omitempty" doc:"inventory that knows the target by its name; default the target alone, by its address"`
	// Vars are given to the playbook.
	Vars map[string]any `json:"vars,omitempty" yaml:"vars,omitempty" doc:"variables of the playbook, without secrets"`
	// Tags limit it.
	Tags []string `json:"tags,omitempty" yaml:"tags,omitempty" doc:"only tasks with these tags"`
	// User, Key and Become are for the inventory of the target alone, or override.
	User   string `json:"user,omitempty" yaml:"user,omitempty" doc:"user that logs in"`
	Key    string `json:"private_key_file,omitempty" yaml:"private_key_file,omitempty" doc:"file with the private key, on the machine of the runner"`
	Become bool   `json:"become,omitempty" yaml:"become,omitempty" doc:"become root on the target"`
	// Check has the gate run the playbook with --check.
	Check bool `json:"check,omitempty" yaml:"check,omitempty" doc:"the gate runs it with --check, which must end well"`
}

// Kind is the executor "ansible.playbook".
func Kind() executors.Kind {
	k := executors.Define("ansible.playbook", "run a playbook for the target, from the machine of the runner", func(_ context.Context, c Config) (backout.Executor, error) {
		return Playbook{c}, nil
	})
	k.OnRunner = true
	return k
}

var (
	word  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@-]*$`)
	named = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// Validate refuses what ansible-playbook would take for something else.
func (c *Config) Validate() error {
	var errs []error
	for key, file := range map[string]string{"playbook": c.Playbook, "inventory": c.Inventory, "private_key_file": c.Key} {
		if file != "" && (!path.IsAbs(file) || strings.ContainsAny(file, ",\x00\n")) {
			errs = append(errs, fmt.Errorf("%s: %q is not an absolute path", key, file))
		}
	}
	if c.Playbook == "" {
		errs = append(errs, errors.New("playbook is empty: name the file"))
	}
	if c.User != "" && !word.MatchString(c.User) {
		errs = append(errs, fmt.Errorf("user: %q is not a user's name", c.User))
	}
	for _, tag := range c.Tags {
		if !word.MatchString(tag) {
			errs = append(errs, fmt.Errorf("tags: %q is not a tag", tag))
		}
	}
	for name := range c.Vars {
		if !named.MatchString(name) || strings.HasPrefix(name, "backout_") || strings.HasPrefix(name, "ansible_") {
			errs = append(errs, fmt.Errorf("vars: %q: a variable's name is letters, digits and _, and those beginning with backout_ or ansible_ are taken", name))
		}
	}
	return errors.Join(errs...)
}

// Playbook is one configured playbook.
type Playbook struct{ c Config }

var (
	_ backout.Executor    = Playbook{}
	_ backout.Preflighter = Playbook{}
)

const program = "ansible-playbook"

// exec is the command line; further are options before the playbook.
func (p Playbook) exec(t backout.Task, further ...string) (backout.Exec, error) {
	if !word.MatchString(t.Target.Name) {
		return backout.Exec{}, fmt.Errorf("the target's name %q would be a pattern to ansible", t.Target.Name)
	}
	argv := append([]string{program, "--limit", t.Target.Name}, further...)
	vars := map[string]any{}
	if p.c.Inventory != "" {
		argv = append(argv, "--inventory", p.c.Inventory)
	} else {
		argv = append(argv, "--inventory", t.Target.Name+",")
		host, port := address(t.Target)
		if vars["ansible_host"] = host; port != "" {
			vars["ansible_port"] = port
		}
	}
	if len(p.c.Tags) > 0 {
		argv = append(argv, "--tags", strings.Join(p.c.Tags, ","))
	}
	if p.c.User != "" {
		argv = append(argv, "--user", p.c.User)
	}
	if p.c.Key != "" {
		argv = append(argv, "--private-key", p.c.Key)
	}
	if p.c.Become {
		argv = append(argv, "--become")
	}
	for name, value := range p.c.Vars {
		vars[name] = value
	}
	for name, value := range map[string]string{
		"target": t.Target.Name, "change_id": t.ChangeID, "rollback_id": t.RollbackID, "attempt": t.AttemptID, "level": t.Level,
	} {
		vars["backout_"+name] = value
	}
	data, err := json.Marshal(vars)
	if err != nil {
		return backout.Exec{}, fmt.Errorf("encode vars: %w", err)
	}
	return backout.Exec{Argv: append(argv, "--extra-vars", string(data), "--", p.c.Playbook), Dir: path.Dir(p.c.Playbook), Env: environment()}, nil
}

// environment keeps ansible from asking and from colouring. Unknown host keys are
// refused, whatever its config says.
func environment() map[string]string {
	return map[string]string{
		"ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOST_KEY_CHECKING": "True", "ANSIBLE_RETRY_FILES_ENABLED": "False", "ANSIBLE_STDOUT_CALLBACK": "default",
		"LC_ALL": "C.UTF-8",
	}
}

func address(t backout.Target) (host, port string) {
	if t.Address == "" {
		return t.Name, ""
	}
	if host, port, err := net.SplitHostPort(t.Address); err == nil {
		return host, port
	}
	return t.Address, ""
}

// Execute implements [backout.Executor]. The host is the runner's own machine.
func (p Playbook) Execute(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Outcome, error) {
	e, err := p.exec(t)
	if err != nil {
		return backout.Outcome{}, backout.Permanent(err)
	}
	said := &tail.Writer{Limit: 64 << 10} // what matters stands at its end
	outcome, err := executors.Attempt(ctx, t, h, e, io.MultiWriter(out, said))
	recap, found := recapOf(string(said.Bytes()), t.Target.Name)
	switch {
	case err != nil && found:
		return outcome, fmt.Errorf("%w: %s", err, recap)
	case err != nil:
		return outcome, err
	case !found:
		return outcome, fmt.Errorf("%s ended with 0, but did nothing on %s: no host of the playbook matches it", program, t.Target.Name)
	}
	outcome.Summary = recap
	return outcome, nil
}

// recapOf is the target's line of the recap that ends the output, such as
// "ok=3 changed=1 unreachable=0 failed=0".
func recapOf(out, target string) (string, bool) {
	_, recap, ok := strings.Cut(out, "\nPLAY RECAP ")
	for line := range strings.Lines(recap) {
		name, counts, found := strings.Cut(line, " : ")
		if ok && found && strings.TrimSpace(name) == target {
			return strings.Join(strings.Fields(counts), " "), true
		}
	}
	return "", false
}

// Preflight implements [backout.Preflighter]: ansible-playbook is there, reads the
// playbook, and finds this target and no other; with check it runs it so.
func (p Playbook) Preflight(ctx context.Context, t backout.Task, h backout.Host) []backout.Violation {
	no := func(fix, format string, args ...any) []backout.Violation {
		return []backout.Violation{{Check: "ansible", Target: t.Target.Name, Level: t.Level, Reason: fmt.Sprintf(format, args...), Fix: fix}}
	}
	e, err := p.exec(t, "--list-hosts")
	if err != nil {
		return no("rename the target in the inventory", "%v", err)
	}
	r, err := h.Run(ctx, e)
	switch {
	case err != nil:
		return no("make the runner's machine able to start programs", "%v", err)
	case r.ExitCode == 127:
		return no("install ansible-core on the machine of the runner", "%s is not there", program)
	case r.ExitCode != 0:
		return no("correct the playbook, or its path", "%s --list-hosts ends with %d: %s", program, r.ExitCode, lastLine(r))
	}
	hosts, ok := listed(string(r.Stdout))
	switch {
	case !ok:
		return no("use a version of ansible that backout knows", "%s --list-hosts says nothing that can be read: %q", program, clip(r.Stdout))
	case !slices.Equal(hosts, []string{t.Target.Name}):
		return no("let the hosts of the playbook match the target's name, in its inventory", "the playbook would run on %q, not on %s alone", hosts, t.Target.Name)
	case !p.c.Check:
		return nil
	}
	if e, err = p.exec(t, "--check"); err != nil {
		return no("correct vars", "%v", err)
	}
	switch r, err := h.Run(ctx, e); {
	case err != nil:
		return no("make the runner's machine able to start programs", "%v", err)
	case r.ExitCode != 0:
		return no("let it end well with --check, or leave out check", "%s --check ends with %d: %s", program, r.ExitCode, lastLine(r))
	}
	return nil
}

// listed are the hosts of all plays, each once.
func listed(out string) (hosts []string, ok bool) {
	inside := false
	for line := range strings.Lines(out) {
		text := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(text, "hosts ("):
			inside, ok = true, true
		case text == "" || strings.HasPrefix(text, "play #") || strings.HasSuffix(text, ":"):
			inside = false
		case inside && !slices.Contains(hosts, text):
			hosts = append(hosts, text)
		}
	}
	return hosts, ok
}

func lastLine(r backout.ExecResult) string {
	text := strings.TrimSpace(string(r.Stderr))
	if text == "" {
		text = strings.TrimSpace(string(r.Stdout))
	}
	lines := strings.Split(text, "\n")
	return clip([]byte(lines[len(lines)-1]))
}

func clip(text []byte) string {
	return strings.ToValidUTF8(string(text[:min(len(text), 300)]), "?")
}
