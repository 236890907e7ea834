plan L1

> open web-1 for=2m
  opened
    tell ops: red
    tell l1-people: red
= pending, next at +2m

> +1m
nothing

> +1m
  level_entered L1 web-1
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
    tell l1-people: level_started if nobody acts: the rollback is exhausted
= running, next at +32m
