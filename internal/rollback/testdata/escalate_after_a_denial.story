# What was denied is left out, and the next level asks for itself.
plan L1 veto=5m
plan L2 approval=1
plan L3 approval=1

> open web-1
  opened
  asked L1 veto (L1 starts unless somebody holds it)
    tell ops: red
    tell l1-people: red
    tell l1-people: approval_needed if nobody acts: L1 starts
    tell ops: approval_needed if nobody acts: L1 starts
= pending, next at +5m

> deny eve sales
  voted
  answered denied by eve
  held (denied) eve denied L1
    tell ops: held if nobody acts: nothing happens until somebody acts
    tell l1-people: held if nobody acts: nothing happens until somebody acts
= held

> escalate ann L1 would not help
  released
  asked L2 required (L2 needs an approval)
    tell ops: resumed
    tell l1-people: resumed
    tell l2-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= pending, next at +28m

> deny eve sales
  voted
  answered denied by eve
  held (denied) eve denied L2
    tell ops: held if nobody acts: nothing happens until somebody acts
    tell l1-people: held if nobody acts: nothing happens until somebody acts
= held

> escalate ann L2 would not help
  released
  asked L3 required (L3 needs an approval)
    tell ops: resumed
    tell l1-people: resumed
    tell l3-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= pending, next at +28m

> hold ann wait
  answered held by ann
  held (person) held by ann: wait
    tell ops: held if nobody acts: nothing happens until somebody acts
    tell l1-people: held if nobody acts: nothing happens until somebody acts
= held

> escalate ann there is no other way
  released
  ended exhausted: no level is left
    tell ops: resumed
    tell l1-people: resumed
    tell ops: exhausted
    tell l1-people: exhausted
= exhausted
