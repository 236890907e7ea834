# L1 runs and does not help. After 30 minutes, counted from its first step, L2
# follows with nobody awake.
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

> +10s
nothing

> claim web-1
  step_started CHG1-r1.L1.s1.t1.a1
  clock_started until +30m10s
= running, next at +30m10s

> +1m
nothing

> done web-1
  step_done
  verify_started
= verifying, next at +30m10s

> red web-1 http 500
  target_red web-1: http 500
= verifying, next at +30m10s

> +28m
nothing

> +1m
  level_failed L1 by time: web-1
  level_entered L2 web-1 because time
  step_requested CHG1-r1.L2.s1.t1.a1 on web-1
    tell l1-people: escalated
    tell l2-people: escalated
    tell l2-people: level_started if nobody acts: the rollback is exhausted
= running, next at +1h0m10s

> claim web-1
  step_started CHG1-r1.L2.s1.t1.a1
  clock_started until +1h0m10s
= running, next at +1h0m10s

> done web-1
  step_done
  verify_started
= verifying, next at +1h0m10s

> green web-1
  target_green
= verifying, next at +1h0m10s

> +2m
nothing

> green web-1
  target_back web-1
  ended recovered: every target was green for 2m
    tell ops: recovered
    tell l1-people: recovered
    tell l2-people: recovered
= recovered
