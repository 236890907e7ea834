package remote

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/planhash"
	"github.com/backout-io/backout/internal/runner"
)

// desk is a runner's connection without a NATS: what it publishes is kept.
type desk struct {
	Conn
	mu   sync.Mutex
	sent []bus.Message
}

func (d *desk) MaxPayload() int { return 1 << 20 }

func (d *desk) Publish(m bus.Message) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sent = append(d.sent, m)
	return nil
}

func (d *desk) Subscribe(string, string, func(bus.Message)) (func(), error) { return func() {}, nil }

// said waits for the answer to the subject.
func (d *desk) said(t *testing.T, subject string) reply {
	t.Helper()
	var r reply
	eventually(t, "the answer", func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, m := range d.sent {
			if m.Subject == subject {
				return json.Unmarshal(m.Data, &r) == nil
			}
		}
		return false
	})
	return r
}

// message is an order on its way, before and after it is signed.
type message struct {
	order
	subject string
	key     SigningKey
	now     time.Time
	edit    func(*bus.Message)
}

// TestRefusals: each thing that a runner must not do, alone, is refused with its
// reason; without it the same order is obeyed.
func TestRefusals(t *testing.T) {
	w := newWorld(t)
	d := &desk{}
	a := w.agentOver(d, "fra-1", func(o *AgentOptions) { o.Executors = []string{"command"} })
	stranger, err := NewSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	// A task without an effect: it waits for a claim that does not come.
	offer := func() *message {
		j, _ := job(here, 1, step("true"))
		return &message{subject: offers("fra"), key: w.key, now: time.Now(), order: order{
			Op: opOffer, Site: "fra", Work: &work{Task: j.Task, Frozen: j.Frozen, Gate: gateOf("CHG1", "web1", j.Gate), Holder: "h"},
		}}
	}
	take := func() *message {
		m := offer()
		m.Op, m.subject, m.To = opTake, directed("fra", a.Address()), a.Address()
		return m
	}
	look := func() *message {
		j, _ := job(here, 1, step("true"))
		return &message{subject: directed("fra", a.Address()), key: w.key, now: time.Now(), order: order{
			Op: opCheck, Site: "fra", To: a.Address(), Check: &check{Target: here, Frozen: j.Frozen, Gate: gateOf("CHG1", "web1", j.Gate), Check: j.Frozen.Plan.Verify.Checks[0]},
		}}
	}
	before := func() *message {
		j, _ := job(here, 1, step("true"))
		return &message{subject: directed("fra", a.Address()), key: w.key, now: time.Now(), order: order{
			Op: opPreflight, Site: "fra", To: a.Address(), Preflight: &preflight{Task: j.Task, Frozen: j.Frozen},
		}}
	}
	after := func() *message {
		return &message{subject: directed("fra", a.Address()), key: w.key, now: time.Now(), order: order{
			Op: opForget, Site: "fra", To: a.Address(), Forget: &forget{Target: here, Attempts: []string{"CHG1-r1.L1.s1.t1.a7"}},
		}}
	}
	see := func() *message {
		j, _ := job(here, 1, step("true"))
		return &message{subject: directed("fra", a.Address()), key: w.key, now: time.Now(), order: order{
			Op: opCapture, Site: "fra", To: a.Address(), Errand: &errand{Call: rand.Text(), Target: here, ChangeID: "CHG1", Plan: j.Frozen},
		}}
	}
	tend := func() *message {
		j, _ := job(here, 1, step("true"))
		j.Task.AttemptID, j.Task.RollbackID = "CHG1-h1.L1.s1.t1", ""
		return &message{subject: directed("fra", a.Address()), key: w.key, now: time.Now(), order: order{
			Op: opTend, Site: "fra", To: a.Address(), Errand: &errand{Call: rand.Text(), Plan: j.Frozen, Errand: runner.ErrandRelease, Task: &j.Task},
		}}
	}
	another := planhash.Freeze(backout.Plan{Name: "web", Levels: []backout.Level{{Name: "L1", Steps: []backout.Step{step("false")}}}})
	nowhere := here
	nowhere.Site = "nyc"
	tests := []struct {
		name string
		from func() *message
		edit func(*message)
		want string
	}{
		{"offer", offer, func(*message) {}, ""},
		{"take", take, func(*message) {}, ""},
		{"check", look, func(*message) {}, ""},
		{"preflight", before, func(*message) {}, ""},
		{"forget", after, func(*message) {}, ""},
		{"capture", see, func(*message) {}, ""},
		{"tend", tend, func(*message) {}, ""},
		{"take with the baseline of its gate", take, func(m *message) { m.Work.Task.Baseline, m.Work.Gate.Baseline = "sha256:b", "sha256:b" }, ""},

		{"unsigned", take, func(m *message) { m.edit = func(b *bus.Message) { b.Header = nil } }, "not signed"},
		{"unreadable signature", take, func(m *message) { m.edit = func(b *bus.Message) { b.Header[headerSignature] = "?" } }, "cannot be read"},
		{"another's key", take, func(m *message) { m.key = stranger }, "signed with key"},
		{"another's key under a known name", take, func(m *message) {
			m.key = stranger
			m.edit = func(b *bus.Message) { b.Header[headerKey] = w.key.ID() }
		}, "is not that of key"},
		{"changed on the way", take, func(m *message) {
			m.edit = func(b *bus.Message) { b.Data = bytes.Replace(b.Data, []byte(`"sh"`), []byte(`"rm"`), 1) }
		}, "is not that of key"},
		{"expired", take, func(m *message) { m.now = m.now.Add(-lifetime - skew - time.Second) }, "expired 31s ago"},
		{"from the future", take, func(m *message) { m.now = m.now.Add(skew + 5*time.Second) }, "in the future"},
		{"another site", take, func(m *message) { m.Site = "nyc" }, `for site "nyc"`},
		{"another runner", take, func(m *message) { m.To = "fra-2.abc" }, "for runner fra-2.abc"},
		{"the same runner's life before", take, func(m *message) { m.To = "fra-1.before" }, "for runner fra-1.before"},
		{"take for anybody", take, func(m *message) { m.To = "" }, "is not an order"},
		{"take over the offers' subject", take, func(m *message) { m.subject = offers("fra") }, "is not an order"},
		{"an op that is none", take, func(m *message) { m.Op = "exec" }, "is not an order"},
		{"an op without its body", take, func(m *message) { m.Work = nil }, "is not an order"},

		{"a target of another site", take, func(m *message) { m.Work.Task.Target = nowhere }, `stands at site "nyc"`},
		{"a target the gate has not seen", take, func(m *message) { m.Work.Gate.Targets = []string{"web2"} }, "not among those that the gate"},
		{"another plan", take, func(m *message) { m.Work.Frozen = another }, "another hash than the one its gate has seen"},
		{"another plan under the hash", take, func(m *message) { m.Work.Frozen.Plan = another.Plan }, "not what its hash says"},
		{"another plan with its hash and gate", take, func(m *message) {
			m.Work.Frozen, m.Work.Gate.PlanHash = another, another.Hash
		}, "not one of level L1"},
		{"a task of another plan", take, func(m *message) { m.Work.Task.PlanHash = another.Hash }, "another plan than its gate"},
		{"no gate", take, func(m *message) { m.Work.Gate.PlanHash = "" }, "no plan hash"},
		{"another change's gate", take, func(m *message) { m.Work.Gate.ChangeID = "CHG2" }, "gate was passed by CHG2"},
		{"another change's rollback", take, func(m *message) { m.Work.Task.RollbackID = "CHG2-r1" }, "is not one of change CHG1"},
		{"a step that is not in the plan", take, func(m *message) { m.Work.Task.Step = step("false") }, "not one of level L1"},
		{"a level that is not in the plan", take, func(m *message) { m.Work.Task.Level = "L9" }, `no level "L9"`},
		{"a step of another level", take, func(m *message) { m.Work.Task.Level = "L2" }, "not one of this step"},
		{"an attempt of another step", take, func(m *message) { m.Work.Task.AttemptID = "CHG1-r1.L1.s2.t1.a1" }, "not one of this step"},
		{"an attempt that is a path", take, func(m *message) { m.Work.Task.AttemptID = "CHG1-r1.L1.s1.t/../x" }, "want letters, digits"},
		{"an attempt whose name is too long", take, func(m *message) { m.Work.Task.AttemptID += strings.Repeat("1", 182) }, "want 1 to 200 characters"},
		{"an attempt whose name is too long with its mark", take, func(m *message) { m.Work.Mark = strings.Repeat("m", 190) }, "want 1 to 200 characters"},
		{"a variable that is not ours", take, func(m *message) { m.Work.Task.Facts["LD_PRELOAD"] = "x" }, "not one of backout's"},
		{"no holder", take, func(m *message) { m.Work.Holder = "" }, "who follows it"},
		{"an executor that is not known", take, func(m *message) { uses(m.Work, "telepathy") }, `executor "telepathy" is not known`},
		{"an executor that is not allowed", take, func(m *message) { uses(m.Work, "systemd.restart") }, "config allows: command"},

		{"a baseline the gate has not seen", take, func(m *message) { m.Work.Task.Baseline = "sha256:b" }, "its gate has seen none"},
		{"another baseline than the gate's", take, func(m *message) { m.Work.Task.Baseline, m.Work.Gate.Baseline = "sha256:b", "sha256:c" }, "its gate has seen sha256:c"},
		{"no baseline where the gate has one", take, func(m *message) { m.Work.Gate.Baseline = "sha256:b" }, "of baseline none"},
		{"another target's delta", take, func(m *message) { m.Work.Task.Delta = &backout.Delta{Target: "db1"} }, "patch delta is of target db1"},

		{"capture: for anybody", see, func(m *message) { m.To = "" }, "is not an order"},
		{"capture: over the offers' subject", see, func(m *message) { m.subject = offers("fra") }, "is not an order"},
		{"capture: another site", see, func(m *message) { m.Errand.Target = nowhere }, `stands at site "nyc"`},
		{"capture: another plan", see, func(m *message) { m.Errand.Plan.Plan = another.Plan }, "not what its hash says"},
		{"capture: no call", see, func(m *message) { m.Errand.Call = "" }, "which call it is"},
		{"capture: with a task", see, func(m *message) { m.Errand.Task = &backout.Task{} }, "is not an order"},
		{"tend: without a task", tend, func(m *message) { m.Errand.Task = nil }, "is not an order"},
		{"tend: for anybody", tend, func(m *message) { m.To = "" }, "is not an order"},
		{"tend: another site", tend, func(m *message) { m.Errand.Task.Target = nowhere }, `stands at site "nyc"`},
		{"tend: another plan", tend, func(m *message) { m.Errand.Plan.Plan = another.Plan }, "not what its hash says"},
		{"tend: a task of another plan", tend, func(m *message) { m.Errand.Task.PlanHash = another.Hash }, "another hash"},
		{"tend: a step that is not in it", tend, func(m *message) { m.Errand.Task.Step = step("false") }, "is not step 1 at L1"},
		{"tend: an attempt of a rollback", tend, func(m *message) { m.Errand.Task.AttemptID = "CHG1-r1.L1.s1.t1.a1" }, "is none of a release"},
		{"tend: another change's attempt", tend, func(m *message) { m.Errand.Task.AttemptID = "CHG2-h1.L1.s1.t1" }, "is none of a release"},
		{"tend: a path", tend, func(m *message) { m.Errand.Task.AttemptID = "CHG1-h1.L1.s1.t1/../x" }, "is none of a release"},
		{"tend: under a mark that is a path", tend, func(m *message) { m.Errand.Mark = "a/b" }, "want letters, digits"},
		{"tend: of a rollback", tend, func(m *message) { m.Errand.Task.RollbackID = "CHG1-r1" }, "none of rollback"},
		{"tend: an errand that is none", tend, func(m *message) { m.Errand.Errand = "exec" }, "is none of a exec"},
		{"tend: a variable that is not ours", tend, func(m *message) { m.Errand.Task.Facts["PATH"] = "x" }, "not one of backout's"},
		{"tend: an executor that is not allowed", tend, func(m *message) {
			plan := planhash.Freeze(backout.Plan{Levels: []backout.Level{{Name: "L1", Steps: []backout.Step{{Uses: "systemd.restart"}}}}})
			m.Errand.Plan, m.Errand.Task.Step, m.Errand.Task.PlanHash = plan, plan.Plan.Levels[0].Steps[0], plan.Hash
		}, "config allows: command"},

		{"check: for anybody", look, func(m *message) { m.To = "" }, "is not an order"},
		{"preflight: over the offers' subject", before, func(m *message) { m.subject = offers("fra") }, "is not an order"},
		{"forget: for anybody", after, func(m *message) { m.To = "" }, "is not an order"},
		{"check: one that is not in the plan", look, func(m *message) { m.Check.Check.With = []byte(`{"argv":["false"]}`) }, "not one of plan"},
		{"check: another target", look, func(m *message) { m.Check.Gate.Targets = nil }, "not among those that the gate"},
		{"check: another plan", look, func(m *message) { m.Check.Frozen.Plan = another.Plan }, "not what its hash says"},
		{"check: another site", look, func(m *message) { m.Check.Target = nowhere }, `stands at site "nyc"`},
		{"preflight: another site", before, func(m *message) { m.Preflight.Task.Target = nowhere }, `stands at site "nyc"`},
		{"preflight: another plan", before, func(m *message) { m.Preflight.Frozen.Plan = another.Plan }, "not what its hash says"},
		{"preflight: another hash", before, func(m *message) { m.Preflight.Task.PlanHash = another.Hash }, "another hash"},
		{"preflight: a step that is not in it", before, func(m *message) { m.Preflight.Task.Step = step("false") }, "not one of level"},
		{"preflight: a variable that is not ours", before, func(m *message) { m.Preflight.Task.Facts["PATH"] = "x" }, "not one of backout's"},
		{"forget: another site", after, func(m *message) { m.Forget.Target = nowhere }, `stands at site "nyc"`},
		{"forget: a path", after, func(m *message) { m.Forget.Attempts = []string{"../x"} }, "beginning with a letter or digit"},
		{"forget: under a mark that is a path", after, func(m *message) { m.Forget.Mark = "a/b" }, "want letters, digits"},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := tt.from()
			tt.edit(m)
			signed, err := m.key.sign(m.subject, m.order, m.now)
			if err != nil {
				t.Fatal(err)
			}
			signed.Reply = fmt.Sprint("answer.", i)
			if m.edit != nil {
				m.edit(&signed)
			}
			a.hear(signed)
			r := d.said(t, signed.Reply)
			if tt.want == "" && r.Refused != "" || !strings.Contains(r.Refused, tt.want) {
				t.Errorf("refused %q, want %q", r.Refused, tt.want)
			}
		})
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.carried) != 1 {
		t.Errorf("%d attempts are carried out, want the one that was taken", len(a.carried))
	}
}

// TestAPlanThatItsGateHasNotSeen is not carried out, whatever a server sends: what the
// gate of the change has recorded is compared with what comes with the task.
func TestAPlanThatItsGateHasNotSeen(t *testing.T) {
	w := newWorld(t)
	w.agent("fra-1")
	j, c := job(here, 1, step(`echo x >>"$1"`, w.file("effects")))
	j.Gate.PlanHash = aPlan(step("true")).Hash
	site := w.hub().Site("fra")
	if r := site.Run(t.Context(), j); !r.Unclaimed || !strings.Contains(r.Err.Error(), "another hash than the one its gate has seen") {
		t.Errorf("%+v", r)
	}
	j.Gate.PlanHash = ""
	if r := site.Run(t.Context(), j); !r.Unclaimed || !strings.Contains(r.Err.Error(), "no plan hash") {
		t.Errorf("%+v", r)
	}
	look := runner.Look{Target: here, ChangeID: "CHG1", Frozen: j.Frozen, Gate: j.Gate}
	if seen := site.Check(t.Context(), look, j.Frozen.Plan.Verify.Checks[0]); seen.Green || !strings.Contains(seen.Detail, "no plan hash") {
		t.Errorf("check: %+v", seen)
	}
	if len(c.claimed()) != 0 || lines(w.file("effects")) != 0 {
		t.Errorf("%d claims, %d effects", len(c.claimed()), lines(w.file("effects")))
	}
}

// TestChecksThatAreNotAllowed: what a plan calls a check runs no command that the
// runner's file does not allow, and the preflight says so before.
func TestChecksThatAreNotAllowed(t *testing.T) {
	w := newWorld(t)
	site := w.hub().Site("fra")
	check := backout.Check{Name: "runs", Uses: "command"}
	check.With = step(`echo x >>"$1"`, w.file("effects")).With
	frozen := planhash.Freeze(backout.Plan{
		Name: "web", Levels: []backout.Level{{Name: "L1", Steps: []backout.Step{step("true")}}}, Verify: backout.Verify{Checks: []backout.Check{check}},
	})
	some := []string{"systemd.restart"}
	for _, tt := range []struct {
		executors, checks []string
		want              string
	}{
		{nil, nil, ""},
		{some, nil, "leaves out: name it in checks"},
		{[]string{"command"}, nil, ""},
		{some, []string{"command"}, ""},
		{nil, []string{"unit", "http"}, "config allows: unit, http"},
		{nil, []string{}, "config allows: none"},
	} {
		a := w.agent("fra-1", func(o *AgentOptions) { o.Executors, o.Checks = tt.executors, tt.checks })
		eventually(t, "it is heard of", func() bool { return site.hub.another("fra", nil) == a.Address() })
		before := lines(w.file("effects"))
		seen := site.Check(t.Context(), runner.Look{
			Target: here, ChangeID: "CHG1", Frozen: frozen, Gate: backout.GatePassed{PlanHash: frozen.Hash, Targets: []string{"web1"}},
		}, check)
		if allowed := tt.want == ""; seen.Green != allowed || (lines(w.file("effects")) > before) != allowed || !strings.Contains(seen.Detail, tt.want) {
			t.Errorf("%v %v: green %v, %d effects, %q", tt.executors, tt.checks, seen.Green, lines(w.file("effects"))-before, seen.Detail)
		}
		task := backout.Task{ChangeID: "CHG1", Level: "L1", Step: frozen.Plan.Levels[0].Steps[0], Target: here}
		if found, err := site.Preflight(t.Context(), frozen, task); err == nil && ((len(found.Violations) > 0) != (tt.want != "") || len(found.Violations) > 0 && !strings.Contains(found.Violations[0].Reason, tt.want)) {
			t.Errorf("%v %v: preflight finds %v", tt.executors, tt.checks, found)
		}
		a.Close()
	}
}

// uses makes it a proper task of another kind.
func uses(w *work, kind string) {
	s := backout.Step{Uses: kind}
	w.Frozen = aPlan(s)
	w.Task.Step, w.Task.PlanHash, w.Gate.PlanHash = w.Frozen.Plan.Levels[0].Steps[0], w.Frozen.Hash, w.Frozen.Hash
}

// TestAnotherVersionIsTold to both sides.
func TestAnotherVersionIsTold(t *testing.T) {
	w := newWorld(t)
	o := order{Version: 2, Op: opOffer, Site: "fra", Issued: time.Now(), Expires: time.Now().Add(lifetime)}
	if err := o.fits("fra", "fra-1.x", time.Now()); err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Error(err)
	}
	o.Version, o.Expires = version, o.Issued.Add(time.Hour)
	if err := o.fits("fra", "fra-1.x", time.Now()); err == nil || !strings.Contains(err.Error(), "time of validity") {
		t.Error(err)
	}
	if _, err := read(bus.Message{Data: []byte(`{"version":2,"runner":"fra-1"}`)}); err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Error(err)
	}
	w.agent("fra-1", func(o *AgentOptions) { o.Keys = nil })
	j, _ := job(here, 1, step("true"))
	if r := w.hub().Site("fra").Run(t.Context(), j); !r.Unclaimed || !strings.Contains(r.Err.Error(), "runner fra-1 refuses: it is signed with key") {
		t.Errorf("%+v", r)
	}
}

func TestKeysAreRotated(t *testing.T) {
	w := newWorld(t)
	old := w.public()
	next, err := NewSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	public, err := ParsePublicKey(next.Public())
	if err != nil {
		t.Fatal(err)
	}
	w.agent("fra-1", func(o *AgentOptions) { o.Keys = []PublicKey{public, old} })
	for number, key := range []SigningKey{w.key, next} {
		w.key = key
		j, _ := job(here, number+1, step("true"))
		wantDone(t, run(t.Context(), w.hub().Site("fra"), j))
	}
}

func TestKeysAsText(t *testing.T) {
	key, err := NewSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	private := key.Private().Reveal()
	again, err := ParseSigningKey(private + "\n")
	if err != nil || again.Public() != key.Public() || again.ID() != key.ID() {
		t.Errorf("%v", err)
	}
	public, err := ParsePublicKey(key.Public())
	if err != nil || public.ID() != key.ID() {
		t.Errorf("%v", err)
	}
	for text, want := range map[string]string{"": "not a signing key", "x": "not a signing key", key.Public(): "public key", private[:20]: "not a signing key"} {
		if _, err := ParseSigningKey(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	for text, want := range map[string]string{"": "not a server key", private: "private key", key.Public()[:30]: "not a server key"} {
		_, err := ParsePublicKey(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "signing-key:") {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestSlotsAreCounted when an attempt is taken, whatever was offered before; one that
// was claimed before is taken all the same.
func TestSlotsAreCounted(t *testing.T) {
	w := newWorld(t)
	a := w.agentOver(&desk{}, "fra-1", func(o *AgentOptions) { o.Slots = 1 })
	for number, want := range []string{"", "no slot left of 1"} {
		j, _ := job(here, number+1, step("true"))
		err := a.take(&work{Task: j.Task, Frozen: j.Frozen, Gate: gateOf("CHG1", "web1", j.Gate), Holder: "h"}, time.Now())
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("attempt %d: %v, want %q", number, err, want)
		}
	}
	j, _ := job(here, 3, step("true"))
	if err := a.take(&work{Task: j.Task, Frozen: j.Frozen, Gate: gateOf("CHG1", "web1", j.Gate), Holder: "h", Resume: true}, time.Now()); err != nil {
		t.Error(err)
	}
}
