# What serves again and differs from its baseline is back; who answers for the level is told how it differs.
plan L1

> open web-1 web-2 baselines=sha256:b
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

> green web-2
  target_green
= verifying, next at +30m

> +2m
nothing

> green web-1 healthy_but_drifted sshd.service is enabled
  target_back web-1 healthy_but_drifted
    tell l1-people: drift
    tell ops: drift
= verifying, next at +30m

> green web-2 of_tomorrow
  target_red web-2: not back to its baseline
= verifying, next at +30m

> +2m
nothing

> green web-2 back_to_baseline
  target_green
= verifying, next at +30m

> +2m
nothing

> green web-2 back_to_baseline
  target_back web-2 back_to_baseline
  ended recovered: every target was green for 2m
    tell ops: recovered
    tell l1-people: recovered
= recovered
