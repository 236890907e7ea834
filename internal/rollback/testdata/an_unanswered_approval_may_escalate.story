plan L1 approval=1 expiry=escalate
plan L2

> open web-1
  opened
  asked L1 required (L1 needs an approval)
    tell ops: red
    tell l1-people: red
    tell l1-people: approval_needed if nobody acts: L2 follows
    tell ops: approval_needed if nobody acts: L2 follows
= pending, next at +28m

> +30m
  answered expired
  level_entered L2 web-1 because the question expired, and the plan says escalate
  step_requested CHG1-r1.L2.s1.t1.a1 on web-1
    tell l2-people: level_started if nobody acts: the rollback is exhausted
= running, next at +1h
