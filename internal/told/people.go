package told

import (
	"github.com/backout-io/backout"
)

func people(e backout.Event) Sentence {
	switch e := e.(type) {
	case backout.Asked:
		return say("may %s start? %s", LevelName(e.Ask.Level), Wanted(e.Ask.Policy)).until(e.Ask.Deadline).because(e.Ask.Why)
	case backout.Voted:
		return say("%s voted %s", value(e.Vote.User), value(e.Vote.Choice)).via(e.Vote.Via).because(e.Vote.Reason)
	case backout.Answered:
		return say("answered: %s", value(e.Outcome)).by(e.By)
	case backout.VoteRefused:
		return say("%s of %s", value(e.Vote.Choice), value(e.Vote.User)).via(e.Vote.Via).and(" does not count").because(e.Reason)
	case backout.ApprovalVoided:
		return say("%s: what was decided counts no more", LevelName(e.Level)).because(e.Reason)
	case backout.GlassBroken:
		return say("BREAK-GLASS: %s starts with %d of %d votes", LevelName(e.Level), e.Votes, e.Needed).by(e.By).via(e.Via).because(e.Reason).and(": somebody else must review it")
	case backout.Reviewed:
		return say("break-glass reviewed").by(e.By).because(e.Reason)
	case backout.LastCall:
		return say("last call: the question expires in %s and votes are missing", backout.Duration(backout.LastCallBefore))
	case backout.ChannelsDown:
		return say("nobody can be told, the clock stands still").because(e.Reason)
	case backout.ChannelsUp:
		return say("somebody can be told again").until(e.Deadline)
	case backout.HeldBack:
		return say("held").by(e.By).because(e.Reason).and(": needs a human")
	case backout.Released:
		if e.Level != "" {
			return say("let %s begin", value(e.Level)).by(e.By).because(e.Reason)
		}
		return say("let go on").by(e.By).because(e.Reason)
	case backout.Paused:
		return say("clocks stand still").by(e.By).because(e.Reason)
	case backout.Resumed:
		return say("clocks run again").by(e.By)
	case backout.AbortRequested:
		return say("abort asked").by(e.By).because(e.Reason)
	}
	return nil
}

// Wanted says in words what an approval policy asks of people.
func Wanted(p backout.Approval) string {
	switch p.Mode {
	case backout.ApprovalRequired:
		if len(p.Groups) == 0 {
			return count(p.Votes, "approval") + " of nobody"
		}
		return count(p.Votes, "approval") + " of " + names(p.Groups, 0)
	case backout.ApprovalVeto:
		return "starts unless held within " + p.Veto.String()
	case backout.ApprovalNone:
		return "no approval"
	}
	return value(p.Mode)
}

func trigger(t backout.Trigger) string {
	switch {
	case t.Verdict != nil:
		out := "rule " + t.Verdict.Rule + " on " + t.Verdict.AlertName
		if t.Verdict.Promoted != "" {
			out += ", " + t.Verdict.Promoted
		}
		return out
	case t.By != "" && t.Reason != "":
		return "started by " + t.By + ": " + t.Reason
	case t.By != "":
		return "started by " + t.By
	}
	return t.Reason
}
