plan L1 veto=10m

> open web-1
  opened
  asked L1 veto (L1 starts unless somebody holds it)
    tell ops: red
    tell l1-people: red
    tell l1-people: approval_needed if nobody acts: L1 starts
    tell ops: approval_needed if nobody acts: L1 starts
= pending, next at +10m

> +9m
nothing

> +1m
  answered unheld
  level_entered L1 web-1 because nobody held it
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
    tell l1-people: level_started if nobody acts: the rollback is exhausted
= running, next at +40m
