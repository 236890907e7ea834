# ann voted as one of sre; sre is somebody else since the reload.
plan L1 approval=2

> open web-1
  opened
  asked L1 required (L1 needs an approval)
    tell ops: red
    tell l1-people: red
    tell l1-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= pending, next at +28m

> approve ann sre members=old
  voted
= pending, next at +10m

> members old
nothing

> members new
  approval_voided L1 of CHG1-r1.q1, 1 votes: who is in the approving groups has changed
  asked L1 required (L1 needs an approval; asked anew: who is in the approving groups has changed)
    tell l1-people: approval_voided if nobody acts: L1 is asked for anew
    tell ops: approval_voided if nobody acts: L1 is asked for anew
    tell l1-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= pending, next at +28m

> approve bob sre members=new
  voted
= pending, next at +10m

> approve cem sre members=new
  voted
  answered approved by cem
  level_entered L1 web-1 because approved by bob, cem
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
    tell l1-people: level_started if nobody acts: the rollback is exhausted
= running, next at +10m

> members newer
  approval_voided L1 of CHG1-r1.q2, 2 votes: who is in the approving groups has changed
  asked L1 required (L1 needs an approval; asked anew: who is in the approving groups has changed)
    tell l1-people: approval_voided if nobody acts: L1 is asked for anew
    tell ops: approval_voided if nobody acts: L1 is asked for anew
    tell l1-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= pending, next at +28m

> approve bob sre members=newer
  voted
= pending, next at +10m

> approve cem sre members=newer
  voted
  answered approved by cem
  level_entered L1 web-1 because approved by bob, cem
  step_requested CHG1-r1.L1.s1.t1.a2 on web-1
    tell l1-people: level_started if nobody acts: the rollback is exhausted
= running, next at +10m

> claim web-1
  step_started CHG1-r1.L1.s1.t1.a2
  clock_started until +30m
= running, next at +30m

> members newest
nothing
