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

> done web-1
  step_done
  verify_started
= verifying, next at +30m

> green web-1
  target_green
= verifying, next at +30m

> +90s
nothing

> red web-1 http 500
  target_red web-1: http 500
= verifying, next at +30m

> +15s
nothing

> green web-1
  target_green
= verifying, next at +30m

> +1m
nothing

> green web-1
nothing

> +1m
nothing

> green web-1
  target_back web-1
  ended recovered: every target was green for 2m
    tell ops: recovered
    tell l1-people: recovered
= recovered
