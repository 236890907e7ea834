plan L1 steps=2

> open web-1
  opened
  level_entered L1 web-1
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
    tell ops: red
    tell l1-people: red
    tell l1-people: level_started if nobody acts: the rollback is exhausted
= running, next at +30m

> pause ann looking
  paused
    tell ops: paused if nobody acts: nothing happens until somebody resumes
    tell l1-people: paused if nobody acts: nothing happens until somebody resumes
= running

> claim web-1
refused: attempt CHG1-r1.L1.s1.t1.a1: paused: no new effects until resumed

> resume ann
  resumed
    tell ops: resumed
    tell l1-people: resumed
= running, next at +30m

> claim web-1
  step_started CHG1-r1.L1.s1.t1.a1
  clock_started until +30m
= running, next at +30m

> pause ann looking again
  paused
    tell ops: paused if nobody acts: nothing happens until somebody resumes
    tell l1-people: paused if nobody acts: nothing happens until somebody resumes
= running

> done web-1
  step_done
= running

> +1h
nothing

> resume ann
  resumed
  step_requested CHG1-r1.L1.s2.t1.a1 on web-1
    tell ops: resumed
    tell l1-people: resumed
= running, next at +1h30m
