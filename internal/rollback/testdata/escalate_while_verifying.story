plan L1
plan L2 approval=1

> open web-1
  opened
  level_entered L1 web-1
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
    tell ops: red
    tell l1-people: red
    tell l1-people: level_started if nobody acts: L2 is asked for
= running, next at +30m

> claim web-1
  step_started CHG1-r1.L1.s1.t1.a1
  clock_started until +30m
= running, next at +30m

> done web-1
  step_done
  verify_started
= verifying, next at +30m

> escalate ann customers call
  level_failed L1 by manual: web-1
  asked L2 required (L2 needs an approval)
    tell l1-people: escalated
    tell l2-people: escalated
    tell l2-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= awaiting_approval, next at +28m
