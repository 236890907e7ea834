plan L1 parallel=1 stop_at_failures=50
plan L2

> open web-1 web-2 web-3
  opened
  level_entered L1 web-1 web-2 web-3
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
    tell ops: red
    tell l1-people: red
    tell l1-people: level_started if nobody acts: L2 follows
= running, next at +30m

> claim web-1
  step_started CHG1-r1.L1.s1.t1.a1
  clock_started until +30m
= running, next at +30m

> fail web-1 exit status 1
  step_failed CHG1-r1.L1.s1.t1.a1: exit status 1
  step_requested CHG1-r1.L1.s1.t2.a1 on web-2
= running, next at +30m

> claim web-2
  step_started CHG1-r1.L1.s1.t2.a1
= running, next at +30m

> fail web-2 exit status 1
  step_failed CHG1-r1.L1.s1.t2.a1: exit status 1
  held (failures) L1 failed on 50% of its targets or more
    tell ops: held if nobody acts: nothing happens until somebody acts
    tell l1-people: held if nobody acts: nothing happens until somebody acts
= held

> release ann go on
  released
  step_requested CHG1-r1.L1.s1.t3.a1 on web-3
    tell ops: resumed
    tell l1-people: resumed
= running, next at +30m
