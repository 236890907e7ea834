# L1 has changed the target, and nobody claims L2: the alert's end ends nothing.
plan L1
plan L2

> open web-1
  opened
  level_entered L1 web-1
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
    tell ops: red
    tell l1-people: red
    tell l1-people: level_started if nobody acts: L2 follows
= running, next at +30m

> claim web-1
  step_started CHG1-r1.L1.s1.t1.a1
  clock_started until +30m
= running, next at +30m

> fail web-1 exit 1
  step_failed CHG1-r1.L1.s1.t1.a1: exit 1
  level_failed L1 by failure: web-1
  level_entered L2 web-1 because failure
  step_requested CHG1-r1.L2.s1.t1.a1 on web-1
    tell l1-people: escalated
    tell l2-people: escalated
    tell l2-people: level_started if nobody acts: the rollback is exhausted
= running, next at +30m

> resolved
nothing
