# What people gave at 02:13 starts nothing at 02:23: no runner came, so the level is asked for again.
plan L1
plan L2 approval=1

> open web-1
  opened
  level_entered L1 web-1
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
    tell ops: red
    tell l1-people: red
    tell l1-people: level_started if nobody acts: L2 is asked for
= running, next at +30m

> claim web-1
  step_started CHG1-r1.L1.s1.t1.a1
  clock_started until +30m
= running, next at +30m

> fail web-1 exit 1
  step_failed CHG1-r1.L1.s1.t1.a1: exit 1
  level_failed L1 by failure: web-1
  asked L2 required (L2 needs an approval)
    tell l1-people: escalated
    tell l2-people: escalated
    tell l2-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= awaiting_approval, next at +28m

> approve ann sre
  voted
  answered approved by ann
  level_entered L2 web-1 because approved by ann
  step_requested CHG1-r1.L2.s1.t1.a1 on web-1
    tell l2-people: level_started if nobody acts: the rollback is exhausted
= running, next at +10m

> +9m59s
nothing

> +1s
  approval_voided L2 of CHG1-r1.q1, 1 votes: L2 was approved at 2026-01-02T02:03:00Z, and nothing of it has started
  asked L2 required (L2 needs an approval; asked anew: L2 was approved at 2026-01-02T02:03:00Z, and nothing of it has started)
    tell l2-people: approval_voided if nobody acts: L2 is asked for anew
    tell ops: approval_voided if nobody acts: L2 is asked for anew
    tell l2-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= awaiting_approval, next at +38m

> claim CHG1-r1.L2.s1.t1.a1
refused: attempt CHG1-r1.L2.s1.t1.a1: stale: it belongs to something older

> approve ann sre
  voted
  answered approved by ann
  level_entered L2 web-1 because approved by ann
  step_requested CHG1-r1.L2.s1.t1.a2 on web-1
    tell l2-people: level_started if nobody acts: the rollback is exhausted
= running, next at +20m

> claim web-1
  step_started CHG1-r1.L2.s1.t1.a2
  clock_started until +40m
= running, next at +40m

> +20m
nothing
