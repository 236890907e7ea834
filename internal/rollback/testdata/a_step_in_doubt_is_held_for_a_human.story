plan L1

> open web-1
  opened
  level_entered L1 web-1
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
    tell ops: red
    tell l1-people: red
    tell l1-people: level_started if nobody acts: the rollback is exhausted
= running, next at +30m

> claim web-1
  step_started CHG1-r1.L1.s1.t1.a1
  clock_started until +30m
= running, next at +30m

> doubt web-1 the target rebooted
  step_in_doubt
  held (doubt) a step is in doubt; somebody must say whether it happened
    tell l1-people: in_doubt
    tell ops: in_doubt
    tell ops: held if nobody acts: nothing happens until somebody acts
    tell l1-people: held if nobody acts: nothing happens until somebody acts
= held

> release ann
refused: rollback CHG1-r1 has an attempt in doubt; resolve it first: refused

> +1h
nothing

> resolve web-1 did_not ann
  doubt_resolved did_not by ann
  released
  step_requested CHG1-r1.L1.s1.t1.a2 on web-1
    tell ops: resumed
    tell l1-people: resumed
= running, next at +1h30m

> claim CHG1-r1.L1.s1.t1.a1
refused: attempt CHG1-r1.L1.s1.t1.a1: stale: it belongs to something older

> claim web-1
  step_started CHG1-r1.L1.s1.t1.a2
= running, next at +1h30m

> done CHG1-r1.L1.s1.t1.a1
refused: attempt CHG1-r1.L1.s1.t1.a1: stale: it belongs to something older

> done web-1
  step_done
  verify_started
= verifying, next at +1h30m
