# An approver who names the level says yes where no group could; the author is none.
plan L1

> open web-1 ask=limit
  opened
  held (nobody) limit, and plan web names no group that may approve L1: it begins when an approver lets it
    tell ops: red
    tell l1-people: red
    tell ops: held if nobody acts: nothing happens until somebody acts
    tell l1-people: held if nobody acts: nothing happens until somebody acts
= held

> +10h
nothing

> release ann looks right
refused: rollback CHG1-r1 is held since no group may approve: only somebody with the role approver lets it go on: forbidden

> approver_releases paul L1 looks right
refused: paul asked for this change, wrote its plan or started the rollback; somebody else must let it go on: forbidden

> approver_releases ann
refused: no group may approve L1: name the level to let it begin: refused

> approver_releases ann L2 looks right
refused: rollback CHG1-r1 is held before L1, not before L2: stale: it belongs to something older

> approver_releases ann L1 looks right
  released
  level_entered L1 web-1
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
    tell ops: resumed
    tell l1-people: resumed
    tell l1-people: level_started if nobody acts: the rollback is exhausted
= running, next at +10h30m
