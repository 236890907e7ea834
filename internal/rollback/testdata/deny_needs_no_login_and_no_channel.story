# Stopping is open to anyone, by any channel.
plan L1 approval=1 step_up=5m channels=dashboard

> open web-1
  opened
  asked L1 required (L1 needs an approval)
    tell ops: red
    tell l1-people: red
    tell l1-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= pending, next at +28m

> deny eve dba via=slack
  voted
  answered denied by eve
  held (denied) eve denied L1
    tell ops: held if nobody acts: nothing happens until somebody acts
    tell l1-people: held if nobody acts: nothing happens until somebody acts
= held
