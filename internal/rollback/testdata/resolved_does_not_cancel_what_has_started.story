# One step of L1 is claimed when the alert resolves: the system is already being changed, and the rollback goes on to its end.
plan L1

> open web-1 web-2
  opened
  level_entered L1 web-1 web-2
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
  step_requested CHG1-r1.L1.s1.t2.a1 on web-2
    tell ops: red
    tell l1-people: red
    tell l1-people: level_started if nobody acts: the rollback is exhausted
= running, next at +30m

> claim web-1
  step_started CHG1-r1.L1.s1.t1.a1
  clock_started until +30m
= running, next at +30m

> resolved
nothing

> claim web-2
  step_started CHG1-r1.L1.s1.t2.a1
= running, next at +30m
