# The plan needs no approval for L1; the rule does. Who may decide on L2 decides.
plan L1
plan L2 approval=1

> open web-1 ask=mode-ask
  opened
  asked L1 required (mode-ask)
    tell ops: red
    tell l1-people: red
    tell l1-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= pending, next at +28m

> approve ann sre
  voted
  answered approved by ann
  level_entered L1 web-1 because approved by ann
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
    tell l1-people: level_started if nobody acts: L2 is asked for
= running, next at +10m
