package backout_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/notifier"
)

// strict reads a section as plan and config files are read: no unknown keys.
func strict(section string) func(into any) error {
	return func(into any) error {
		d := json.NewDecoder(strings.NewReader(section))
		d.DisallowUnknownFields()
		return d.Decode(into)
	}
}

// Downgrade is the section of a step, and the executor made of it.
type Downgrade struct {
	Package string `json:"package" yaml:"package" doc:"the package's name"`
	Version string `json:"version" yaml:"version" doc:"the version to go back to"`
}

// Validate runs when the plan is checked, long before anything burns.
func (d *Downgrade) Validate() error {
	if d.Package == "" || d.Version == "" {
		return errors.New("package and version are both needed")
	}
	return nil
}

// Execute starts the work under the task's attempt and follows it. Called again
// with the same attempt, after a crash, it attaches to what was started.
func (d Downgrade) Execute(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Outcome, error) {
	argv := []string{"apt-get", "install", "--yes", "--allow-downgrades", d.Package + "=" + d.Version}
	return executors.Attempt(ctx, t, h, backout.Exec{Argv: argv, Env: executors.Facts(t)}, out)
}

// webServer is a target that does as it is told; a server hands in real ones,
// local or over SSH.
type webServer struct{ backout.Host }

func (webServer) Start(_ context.Context, attempt string, e backout.Exec) error {
	fmt.Println(attempt, e.Argv)
	return nil
}

func (webServer) Attach(_ context.Context, _ string, _ int64, out io.Writer) (backout.AttemptReport, error) {
	_, err := io.WriteString(out, "downgraded\n")
	return backout.AttemptReport{State: backout.AttemptFinished}, err
}

// An executor of another module: a section, Execute, and a name for plans.
func ExampleExecutor() {
	kind := executors.Define("apt.downgrade", "go back to an older package", func(_ context.Context, d Downgrade) (backout.Executor, error) { return d, nil })

	_, err := kind.Decode(strict(`{"package": "nginx"}`))
	fmt.Println("refused:", err)

	section, err := kind.Decode(strict(`{"package": "nginx", "version": "1.22.1-9"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	executor, err := kind.Build(context.Background(), section, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	task := backout.Task{
		AttemptID: backout.AttemptID("CHG0030001-r1", 0, 0, 0, 1), RollbackID: "CHG0030001-r1", ChangeID: "CHG0030001", Level: "L1",
		Step: backout.Step{Uses: kind.KindName(), With: section, OnOverdue: kind.OnOverdue}, Target: backout.Target{Name: "web1"},
	}
	outcome, err := executor.Execute(context.Background(), task, webServer{}, os.Stdout)
	fmt.Println(outcome.Summary, err)
	// Output:
	// refused: package and version are both needed
	// CHG0030001-r1.L1.s1.t1.a1 [apt-get install --yes --allow-downgrades nginx=1.22.1-9]
	// downgraded
	// exit code 0 <nil>
}

// Pager is the section of a channel, and the notifier made of it.
type Pager struct {
	Room  string         `json:"room" yaml:"room" doc:"where it beeps"`
	Token backout.Secret `json:"token" yaml:"token" doc:"a secret"`
}

// Notify sends one message. An error that trying again cannot cure is marked,
// every other is retried; the notice's id lets the peer know a second delivery.
func (p Pager) Notify(ctx context.Context, m backout.Message) (backout.Receipt, error) {
	if p.Token.Reveal() == "" {
		return backout.Receipt{}, backout.Permanent(errors.New("the pager's token is empty"))
	}
	if err := ctx.Err(); err != nil {
		return backout.Receipt{}, err
	}
	fmt.Printf("%s: %s\n", p.Room, m.Subject)
	return backout.Receipt{Ref: m.Notice.ID, Channel: p.Room}, nil
}

// A notifier of another module: a section, Notify, and a name for channels.
func ExampleNotifier() {
	kind := notifier.Define("pager", "beeps", func(_ context.Context, p Pager) (backout.Notifier, error) { return p, nil })
	// How a value from outside is made harmless in this channel's text.
	kind.Escape = func(s string) string { return strings.ReplaceAll(s, "*", "") }

	section, err := kind.Decode(strict(`{"room": "night shift", "token": {"credential": "pager"}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	pager, err := kind.Build(context.Background(), section, func(config any) error {
		p := config.(*Pager)
		p.Token = p.Token.WithValue("from the place that the section names")
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%+v\n", pager)

	notice := backout.Notice{
		ID: "CHG0030001-r1.4.0", Moment: backout.MomentRecovered, ChangeID: "CHG0030001", RollbackID: "CHG0030001-r1", Level: "L1",
		Targets: []string{"*web1*"}, At: time.Date(2026, 3, 14, 2, 33, 0, 0, time.UTC),
	}
	message, err := notifier.Default().Render(kind.Style(), notice, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	receipt, err := pager.Notify(context.Background(), message)
	fmt.Println(receipt.Ref, err)
	// Output:
	// {Room:night shift Token:[redacted]}
	// night shift: [CHG0030001] RECOVERED by L1 on web1
	// CHG0030001-r1.4.0 <nil>
}
