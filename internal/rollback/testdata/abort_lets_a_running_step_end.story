plan L1
plan L2

> open web-1 web-2
  opened
  level_entered L1 web-1 web-2
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
  step_requested CHG1-r1.L1.s1.t2.a1 on web-2
    tell ops: red
    tell l1-people: red
    tell l1-people: level_started if nobody acts: L2 follows
= running, next at +30m

> claim web-1
  step_started CHG1-r1.L1.s1.t1.a1
  clock_started until +30m
= running, next at +30m

> abort ann false alarm
  abort_requested
  stop_requested CHG1-r1.L1.s1.t1.a1: aborted by ann
  step_failed CHG1-r1.L1.s1.t2.a1: never started: aborted by ann
= aborting

> done web-1
  step_done
  ended aborted: false alarm
    tell ops: aborted
    tell l1-people: aborted
= aborted

> +1h
refused: rollback CHG1-r1 is aborted: it has ended
