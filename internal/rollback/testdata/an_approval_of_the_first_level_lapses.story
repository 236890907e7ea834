# Paused right after the approval, and resumed when nobody remembers it: asked anew, and nothing that was given before starts.
plan L1 approval=1

> open web-1
  opened
  asked L1 required (L1 needs an approval)
    tell ops: red
    tell l1-people: red
    tell l1-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= pending, next at +28m

> approve ann sre
  voted
  answered approved by ann
  level_entered L1 web-1 because approved by ann
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
    tell l1-people: level_started if nobody acts: the rollback is exhausted
= running, next at +10m

> pause bob network works
  paused
    tell ops: paused if nobody acts: nothing happens until somebody resumes
    tell l1-people: paused if nobody acts: nothing happens until somebody resumes
= running

> +7h
nothing

> resume bob
  resumed
  approval_voided L1 of CHG1-r1.q1, 1 votes: L1 was approved at 2026-01-02T02:03:00Z, and nothing of it has started
  asked L1 required (L1 needs an approval; asked anew: L1 was approved at 2026-01-02T02:03:00Z, and nothing of it has started)
    tell ops: resumed
    tell l1-people: resumed
    tell l1-people: approval_voided if nobody acts: L1 is asked for anew
    tell ops: approval_voided if nobody acts: L1 is asked for anew
    tell l1-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= pending, next at +7h28m

> claim CHG1-r1.L1.s1.t1.a1
refused: attempt CHG1-r1.L1.s1.t1.a1: stale: it belongs to something older

> approve ann sre
  voted
  answered approved by ann
  level_entered L1 web-1 because approved by ann
  step_requested CHG1-r1.L1.s1.t1.a2 on web-1
    tell l1-people: level_started if nobody acts: the rollback is exhausted
= running, next at +7h10m

> claim web-1
  step_started CHG1-r1.L1.s1.t1.a2
  clock_started until +7h30m
= running, next at +7h30m
