# Of a target with a baseline, green checks are half of it: what is not back to its baseline is red.
plan L1
plan L2

> open web-1 baselines=sha256:b
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

> green web-1
  target_green
= verifying, next at +30m

> +2m
nothing

> green web-1
nothing

> green web-1 not_back nginx is still 1.2-2
  target_red web-1: not back to its baseline: nginx is still 1.2-2
= verifying, next at +30m

> green web-1
nothing

> green web-1 not_back nginx is still 1.2-2
nothing

> green web-1 back_to_baseline
  target_green
= verifying, next at +30m

> +2m
nothing

> green web-1 back_to_baseline
  target_back web-1 back_to_baseline
  ended recovered: every target was green for 2m
    tell ops: recovered
    tell l1-people: recovered
= recovered
