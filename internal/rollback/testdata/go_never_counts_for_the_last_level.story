plan L1 approval=1 expiry=go
plan L2 approval=1 expiry=go

> open web-1
  opened
  asked L1 required (L1 needs an approval)
    tell ops: red
    tell l1-people: red
    tell l1-people: approval_needed if nobody acts: L1 starts
    tell ops: approval_needed if nobody acts: L1 starts
= pending, next at +28m

> +30m
  answered expired
  level_entered L1 web-1 because the question expired, and the plan says go
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
    tell l1-people: level_started if nobody acts: L2 is asked for
= running, next at +1h

> claim web-1
  step_started CHG1-r1.L1.s1.t1.a1
  clock_started until +1h
= running, next at +1h

> fail web-1 exit status 1
  step_failed CHG1-r1.L1.s1.t1.a1: exit status 1
  level_failed L1 by failure: web-1
  asked L2 required (L2 needs an approval)
    tell l1-people: escalated
    tell l2-people: escalated
    tell l2-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= awaiting_approval, next at +58m

> +30m
  answered expired
  held (denied) nobody approved L2 in time
    tell ops: held if nobody acts: nothing happens until somebody acts
    tell l1-people: held if nobody acts: nothing happens until somebody acts
    tell l2-people: held if nobody acts: nothing happens until somebody acts
= held
