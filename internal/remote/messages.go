package remote

import (
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/runner"
)

// version is the version of all messages. Another one is refused: the two sides
// are then of different releases.
const version = 1

// op says what an order wants.
type op string

const (
	opOffer     op = "offer"     // who takes this attempt?
	opTake      op = "take"      // take it
	opWatch     op = "watch"     // what is there to ask and to tell?
	opRelease   op = "release"   // let go of it
	opForget    op = "forget"    // remove what the target keeps of ended attempts
	opPreflight op = "preflight" // would the step succeed?
	opCheck     op = "check"     // is the target well?
	opCapture   op = "capture"   // what is on the target?
	opTend      op = "tend"      // prepare, clean up or release what a step needs or leaves
)

// order is what a server signs: one wish to a site, or to one runner of it.
type order struct {
	Version int    `json:"version"`
	Op      op     `json:"op"`
	Site    string `json:"site"`
	// To is the address of the runner that is meant; empty for an offer.
	To      string    `json:"to,omitempty"`
	Issued  time.Time `json:"issued"`
	Expires time.Time `json:"expires"`

	// Work is set for offer and take, and the others for the orders of their name.
	Work      *work      `json:"work,omitempty"`
	Watch     *watch     `json:"watch,omitempty"`
	Release   *release   `json:"release,omitempty"`
	Forget    *forget    `json:"forget,omitempty"`
	Preflight *preflight `json:"preflight,omitempty"`
	Check     *check     `json:"check,omitempty"`
	// Errand is set for capture and tend.
	Errand *errand `json:"errand,omitempty"`
}

// errand is something that may take long, or whose answer may be large. The same
// order is given again and again until all of the answer has been fetched.
type errand struct {
	// Call names it, at random.
	Call string             `json:"call"`
	Plan backout.FrozenPlan `json:"frozen"`
	Mark string             `json:"mark,omitempty"`
	// Target and ChangeID say what a capture looks at, AIDE as in
	// [runner.CaptureLook].
	Target   backout.Target `json:"target,omitzero"`
	ChangeID string         `json:"change_id,omitempty"`
	AIDE     string         `json:"aide,omitempty"`
	// Errand and Task are for tend.
	Errand runner.Errand `json:"errand,omitempty"`
	Task   *backout.Task `json:"task,omitempty"`
	// Again is set when another runner of the site may have begun it.
	Again bool `json:"again,omitempty"`
	// Offset is how much of the answer the server has.
	Offset int `json:"offset,omitempty"`
}

// errandState is how far an errand is. Its answer is JSON, compressed by gzip, of
// Size bytes in all; Piece is what it has from the offset on.
type errandState struct {
	Running bool   `json:"running,omitempty"`
	Fault   *fault `json:"fault,omitempty"`
	Offset  int    `json:"offset,omitempty"`
	Size    int    `json:"size,omitempty"`
	Piece   []byte `json:"piece,omitempty"`
}

// fault is why an errand failed. Kind keeps what callers tell errors apart by.
type fault struct {
	Text string    `json:"text"`
	Kind faultKind `json:"kind,omitempty"`
	// Part, Tool and Package are of a [capture.MissingError].
	Part    string `json:"part,omitempty"`
	Tool    string `json:"tool,omitempty"`
	Package string `json:"package,omitempty"`
}

type faultKind string

const (
	faultMissing     faultKind = "missing"
	faultInvalid     faultKind = "invalid"
	faultBusy        faultKind = "busy"
	faultUnreachable faultKind = "unreachable"
	faultInDoubt     faultKind = "in_doubt"
	faultPermanent   faultKind = "permanent"
)

// work is an attempt, with what entitles the server to have it carried out.
type work struct {
	Task   backout.Task       `json:"task"`
	Frozen backout.FrozenPlan `json:"frozen"`
	Gate   gate               `json:"gate"`
	// Mark tells the attempts of the server's store from those of another.
	Mark string `json:"mark,omitempty"`
	// Resume is set when the attempt has been claimed before, under Boot.
	Resume bool   `json:"resume,omitempty"`
	Boot   string `json:"boot,omitempty"`
	// Holder names the server's call that follows the attempt.
	Holder string `json:"holder"`
}

// gate is the answer that let a change's window open.
type gate struct {
	ChangeID string   `json:"change_id"`
	PlanHash string   `json:"plan_hash"`
	Targets  []string `json:"targets"`
	// Baseline is the digest of the target's baseline; empty when it has none.
	Baseline string `json:"baseline,omitempty"`
}

func gateOf(changeID, target string, g backout.GatePassed) gate {
	return gate{ChangeID: changeID, PlanHash: g.PlanHash, Targets: g.Targets, Baseline: g.Baselines[target]}
}

// passed is the answer as servers have it, as far as it is about the target.
func (g gate) passed(target string) backout.GatePassed {
	p := backout.GatePassed{PlanHash: g.PlanHash, Targets: g.Targets}
	if g.Baseline != "" {
		p.Baselines = map[string]string{target: g.Baseline}
	}
	return p
}

// watch asks what is new since Offset of the output and Kept of the kept one.
type watch struct {
	Attempt string `json:"attempt"`
	Holder  string `json:"holder"`
	Offset  int64  `json:"offset"`
	Kept    int    `json:"kept"`
	// Answer is that to the question asked last, if there was one.
	Answer *answer `json:"answer,omitempty"`
	// Stop and GiveUp are the reasons for which the attempt is to end, or not to
	// begin.
	Stop   string `json:"stop,omitempty"`
	GiveUp string `json:"give_up,omitempty"`
}

// answer is the server's word on the question of that number.
type answer struct {
	Number string `json:"number"`
	// Deadline is the attempt's, when a claim succeeded.
	Deadline time.Time `json:"deadline,omitzero"`
	// No is why not; empty means yes.
	No string `json:"no,omitempty"`
}

type release struct {
	Attempt string `json:"attempt"`
	Holder  string `json:"holder"`
	Reason  string `json:"reason"`
}

type forget struct {
	Target   backout.Target `json:"target"`
	Attempts []string       `json:"attempts"`
	Mark     string         `json:"mark,omitempty"`
}

type preflight struct {
	Task   backout.Task       `json:"task"`
	Frozen backout.FrozenPlan `json:"frozen"`
	Mark   string             `json:"mark,omitempty"`
}

type check struct {
	Target backout.Target     `json:"target"`
	Frozen backout.FrozenPlan `json:"frozen"`
	Gate   gate               `json:"gate"`
	Check  backout.Check      `json:"check"`
	Mark   string             `json:"mark,omitempty"`
}

// reply is what a runner answers. NATS vouches for who it is: nobody but the
// runners of the site got the question.
type reply struct {
	Version int `json:"version"`
	// Runner is its name, Address where it is spoken to in this life.
	Runner  string `json:"runner"`
	Address string `json:"address"`
	// Refused is why it does not do what it was asked; empty when it does.
	Refused string `json:"refused,omitempty"`
	// Moved is set when another server follows the attempt now.
	Moved bool `json:"moved,omitempty"`
	// Carries is set when it carries the offered attempt already. Free is how many
	// more it could take.
	Carries bool `json:"carries,omitempty"`
	Free    int  `json:"free,omitempty"`

	State      *state              `json:"state,omitempty"`
	Errand     *errandState        `json:"errand,omitempty"`
	Violations []backout.Violation `json:"violations,omitempty"`
	// Loses is what the step of a preflight would lose.
	Loses string `json:"loses,omitempty"`
	Green bool   `json:"green,omitempty"`
	// Detail is what a check saw, or why something failed.
	Detail string `json:"detail,omitempty"`
	Failed bool   `json:"failed,omitempty"`
}

// state is what a runner has to ask and to tell of an attempt.
type state struct {
	Ask *ask `json:"ask,omitempty"`
	// Output are the bytes of the live output from Offset on.
	Offset int64  `json:"offset"`
	Output []byte `json:"output,omitempty"`
	// Result is set at the end. Kept is a piece of the output that is kept, of
	// KeptSize bytes in all.
	Result   *result `json:"result,omitempty"`
	Kept     []byte  `json:"kept,omitempty"`
	KeptSize int     `json:"kept_size,omitempty"`
}

// ask is a question that must be answered before the runner goes on. Its number
// is random, so that no earlier answer fits.
type ask struct {
	Number string `json:"number"`
	What   string `json:"what"`
	Boot   string `json:"boot,omitempty"`
}

// The questions.
const (
	askClaim    = "claim"
	askBegin    = "begin"
	askHandOver = "hand over"
)

// result is how an attempt ended, as [runner.Result] says it.
type result struct {
	Outcome     backout.Outcome `json:"outcome"`
	Error       string          `json:"error,omitempty"`
	Unclaimed   bool            `json:"unclaimed,omitempty"`
	InDoubt     bool            `json:"in_doubt,omitempty"`
	Interrupted bool            `json:"interrupted,omitempty"`
}

// hello is what a runner says of itself every two seconds.
type hello struct {
	Version int `json:"version"`
	// Address is where it is spoken to in this life.
	Address string `json:"address"`
	Release string `json:"release"`
	Running int    `json:"running"`
	Slots   int    `json:"slots"`
	// Leaving is set when it says good-bye.
	Leaving bool `json:"leaving,omitempty"`
}
