package attempt

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/backout-io/backout"
)

// ErrUnreachable says that the target could not be talked to, or that the
// connection was lost meanwhile. Nothing follows from it about the target's
// work: probe.
var ErrUnreachable = errors.New("target unreachable")

// ErrNoConnection is an [ErrUnreachable] that came before anything was sent: the
// call had no effect.
var ErrNoConnection = fmt.Errorf("%w: no connection", ErrUnreachable)

// Path is the PATH of every command, the same on each target.
const Path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Quote makes any text without NUL one word of a POSIX shell.
func Quote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// CheckID refuses an attempt id that is not a plain file name: at most 200
// characters of A-Z a-z 0-9 . _ -, beginning with a letter or digit.
func CheckID(id string) error {
	if id == "" || len(id) > 200 || !alphanumeric(id[0]) {
		return fmt.Errorf("attempt id %q: want 1 to 200 characters, beginning with a letter or digit", id)
	}
	for i := range len(id) {
		if c := id[i]; !alphanumeric(c) && !strings.ContainsRune("._-", rune(c)) {
			return fmt.Errorf("attempt id %q: want letters, digits, dot, underline and dash only", id)
		}
	}
	return nil
}

// CheckExec refuses what cannot reach a target unchanged: no command, NUL
// bytes, names that are not environment variables or belong to the shell.
func CheckExec(e backout.Exec) error {
	if len(e.Argv) == 0 || e.Argv[0] == "" {
		return errors.New("argv is empty: name the program to run")
	}
	if strings.HasPrefix(e.Argv[0], "-") {
		return fmt.Errorf("argv[0] %q: a program's name cannot begin with a dash", e.Argv[0])
	}
	for i, a := range e.Argv {
		if strings.ContainsRune(a, 0) {
			return fmt.Errorf("argv[%d] holds a NUL byte, which no command line can carry", i)
		}
	}
	if strings.ContainsRune(e.Dir, 0) {
		return errors.New("dir holds a NUL byte")
	}
	if e.Dir != "" && !strings.HasPrefix(e.Dir, "/") {
		return fmt.Errorf("dir %q: want an absolute path", e.Dir)
	}
	for name, value := range e.Env {
		if err := checkVariable(name, value); err != nil {
			return err
		}
	}
	return nil
}

// shellNames are variables a shell keeps for itself: assigning to them fails or
// changes how the shell reads on.
var shellNames = []string{
	"_", "BASHOPTS", "ENV", "EUID", "IFS", "LINENO", "OLDPWD", "OPTARG", "OPTIND", "PPID", "PS1", "PS2", "PS4", "PWD", "SHELLOPTS",
	"SHLVL", "UID",
}

func checkVariable(name, value string) error {
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		return fmt.Errorf("environment name %q: want letters, digits and underline, not beginning with a digit", name)
	}
	for i := range len(name) {
		if c := name[i]; !alphanumeric(c) && c != '_' {
			return fmt.Errorf("environment name %q: want letters, digits and underline, not beginning with a digit", name)
		}
	}
	if slices.Contains(shellNames, name) || strings.HasPrefix(name, "BASH_") {
		return fmt.Errorf("environment name %q belongs to the shell: choose another", name)
	}
	if strings.ContainsRune(value, 0) {
		return fmt.Errorf("environment %s holds a NUL byte, which no variable can carry", name)
	}
	return nil
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// Become makes the running shell become the command. Everything in it is a
// builtin, so nothing is started before the command itself. Where the directory
// is missing the shell ends with 126, as for a command that cannot run.
func Become(e backout.Exec) string {
	var b strings.Builder
	dir := e.Dir
	if dir == "" {
		dir = "/"
	}
	fmt.Fprintf(&b, "cd %s || exit 126\n", Quote(dir))
	names := make([]string, 0, len(e.Env))
	for name := range e.Env {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "export %s=%s\n", name, Quote(e.Env[name]))
	}
	b.WriteString("exec")
	for _, a := range e.Argv {
		b.WriteByte(' ')
		b.WriteString(Quote(a))
	}
	return b.String()
}
