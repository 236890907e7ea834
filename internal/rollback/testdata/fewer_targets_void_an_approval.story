# One of two votes is given when a target recovers: what ann approved is not what would start.
plan L1
plan L2 approval=2

> open web-1 web-2
  opened
  level_entered L1 web-1 web-2
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
  step_requested CHG1-r1.L1.s1.t2.a1 on web-2
    tell ops: red
    tell l1-people: red
    tell l1-people: level_started if nobody acts: L2 is asked for
= running, next at +30m

> claim web-1
  step_started CHG1-r1.L1.s1.t1.a1
  clock_started until +30m
= running, next at +30m

> claim web-2
  step_started CHG1-r1.L1.s1.t2.a1
= running, next at +30m

> done web-1
  step_done
= running, next at +30m

> done web-2
  step_done
  verify_started
= verifying, next at +30m

> green web-1
  target_green
= verifying, next at +30m

> +30m
  level_failed L1 by time: web-1 web-2
  asked L2 required (L2 needs an approval)
    tell l1-people: escalated
    tell l2-people: escalated
    tell l2-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= awaiting_approval, next at +58m

> approve ann sre
  voted
= awaiting_approval, next at +40m

> green web-1
  target_back web-1
  approval_voided L2 of CHG1-r1.q1, 1 votes: web-1 has recovered
  asked L2 required (L2 needs an approval; asked anew: web-1 has recovered)
    tell l2-people: approval_voided if nobody acts: L2 is asked for anew
    tell ops: approval_voided if nobody acts: L2 is asked for anew
    tell l2-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= awaiting_approval, next at +58m

> green web-1
nothing

> +2m
nothing

> green web-1
nothing

> approve bob sre ask=q1
  vote_refused (too_late) question CHG1-r1.q1 counts no more since 2026-01-02T02:33:00Z: web-1 has recovered; CHG1-r1.q2 is asked in its place
= awaiting_approval, next at +58m

> approve ann sre
  voted
= awaiting_approval, next at +42m

> approve bob sre
  voted
  answered approved by bob
  level_entered L2 web-2 because approved by ann, bob
  step_requested CHG1-r1.L2.s1.t2.a1 on web-2
    tell l2-people: level_started if nobody acts: the rollback is exhausted
= running, next at +42m
