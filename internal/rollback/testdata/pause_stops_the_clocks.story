# Ten minutes into L1 it is paused for an hour: twenty minutes are left after it.
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

> done web-1
  step_done
  verify_started
= verifying, next at +30m

> +10m
nothing

> pause ann database maintenance
  paused
    tell ops: paused if nobody acts: nothing happens until somebody resumes
    tell l1-people: paused if nobody acts: nothing happens until somebody resumes
= verifying

> +1h
nothing

> resume ann
  resumed
    tell ops: resumed
    tell l1-people: resumed
= verifying, next at +1h30m

> +19m
nothing

> +1m
  level_failed L1 by time: web-1
  level_entered L2 web-1 because time
  step_requested CHG1-r1.L2.s1.t1.a1 on web-1
    tell l1-people: escalated
    tell l2-people: escalated
    tell l2-people: level_started if nobody acts: the rollback is exhausted
= running, next at +2h
