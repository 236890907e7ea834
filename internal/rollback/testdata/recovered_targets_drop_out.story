# web-1 is back after L1; only web-2 climbs on.
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

> red web-2 http 500
  target_red web-2: http 500
= verifying, next at +30m

> +2m
nothing

> green web-1
  target_back web-1
= verifying, next at +30m

> +28m
  level_failed L1 by time: web-2
  level_entered L2 web-2 because time
  step_requested CHG1-r1.L2.s1.t2.a1 on web-2
    tell l1-people: escalated
    tell l2-people: escalated
    tell l2-people: level_started if nobody acts: the rollback is exhausted
= running, next at +1h
