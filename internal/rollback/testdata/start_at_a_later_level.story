plan L1
plan L2

> open web-1 at=L2
  opened
  level_entered L2 web-1
  step_requested CHG1-r1.L2.s1.t1.a1 on web-1
    tell ops: red
    tell l2-people: red
    tell l2-people: level_started if nobody acts: the rollback is exhausted
= running, next at +30m
