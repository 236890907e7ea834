package remote

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/backout-io/backout"
)

// Where the messages of a site go. Servers publish all but the last, runners
// listen; a runner publishes only its own hello, and answers.
const root = "backout.sites."

func offers(site string) string            { return root + site + ".offer" }
func directed(site, address string) string { return root + site + ".to." + address }
func hellos(site, name string) string      { return root + site + ".hello." + name }

// nameOf is the runner's name in its address.
func nameOf(address string) string {
	name, _, _ := strings.Cut(address, ".")
	return name
}

// Permissions are what a NATS user may do.
type Permissions struct {
	Publish   []string
	Subscribe []string
	// Answer is set when it may answer each message it gets, once.
	Answer bool
}

// answerTime is how long a runner may take to answer: longer than any look takes.
const answerTime = "1m"

// RunnerPermissions is all that the user of a runner needs: to hear what is meant
// for its site or for itself, to answer, and to say that it is there. No stream,
// no inbox, nothing of another site. Names that are no subject tokens are refused.
func RunnerPermissions(site, name string) (Permissions, error) {
	if err := errors.Join(checkName("site", site), checkName("runner", name)); err != nil {
		return Permissions{}, err
	}
	return Permissions{
		Publish:   []string{hellos(site, name)},
		Subscribe: []string{offers(site), directed(site, name+".*")},
		Answer:    true,
	}, nil
}

// plainName is what sites and runners may be called.
var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// checkName refuses what would widen a subject.
func checkName(what, name string) error {
	if plainName.MatchString(name) {
		return nil
	}
	return fmt.Errorf("%w: %q cannot name a %s: use letters, digits and _ -, at most 64, a letter or digit first", backout.ErrInvalid, name, what)
}

// ServerPermissions is what the user of a server needs: its streams, its inbox,
// and to speak to runners.
func ServerPermissions() Permissions {
	return Permissions{
		Publish:   []string{"$JS.>", "$KV.BACKOUT_CONTROL.>", "$KV.BACKOUT_RECEIPTS.>", "$O.BACKOUT_ARTIFACTS.>", "backout.>"},
		Subscribe: []string{"_INBOX.>", "backout.presence", hellos("*", "*")},
	}
}

// Config is the permissions as nats-server.conf has them, indented by tabs.
func (p Permissions) Config(indent int) string {
	tabs := strings.Repeat("\t", indent)
	var b strings.Builder
	fmt.Fprintf(&b, "%spermissions: {\n", tabs)
	fmt.Fprintf(&b, "%s\tpublish:   { allow: [%s] }\n", tabs, quoted(p.Publish))
	fmt.Fprintf(&b, "%s\tsubscribe: { allow: [%s] }\n", tabs, quoted(p.Subscribe))
	if p.Answer {
		fmt.Fprintf(&b, "%s\tallow_responses: { max: 1, expires: %q }\n", tabs, answerTime)
	}
	fmt.Fprintf(&b, "%s}\n", tabs)
	return b.String()
}

// NSC is the same as arguments of "nsc add user".
func (p Permissions) NSC() []string {
	args := []string{"--allow-pub", strings.Join(p.Publish, ","), "--allow-sub", strings.Join(p.Subscribe, ",")}
	if p.Answer {
		args = append(args, "--allow-pub-response=1", "--response-ttl="+answerTime)
	}
	return args
}

func quoted(subjects []string) string {
	out := make([]string, len(subjects))
	for i, s := range subjects {
		out[i] = fmt.Sprintf("%q", s)
	}
	return strings.Join(out, ", ")
}
