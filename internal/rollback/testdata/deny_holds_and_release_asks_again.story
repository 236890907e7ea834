plan L1 approval=1

> open web-1
  opened
  asked L1 required (L1 needs an approval)
    tell ops: red
    tell l1-people: red
    tell l1-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= pending, next at +28m

> deny eve sales
  voted
  answered denied by eve
  held (denied) eve denied L1
    tell ops: held if nobody acts: nothing happens until somebody acts
    tell l1-people: held if nobody acts: nothing happens until somebody acts
= held

> release ann asked around
  released
  asked L1 required (L1 needs an approval)
    tell ops: resumed
    tell l1-people: resumed
    tell l1-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= pending, next at +28m

> approve bob sre
  voted
  answered approved by bob
  level_entered L1 web-1 because approved by bob
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
    tell l1-people: level_started if nobody acts: the rollback is exhausted
= running, next at +10m
