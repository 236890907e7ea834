# Leaving the level that is asked for lets the next one begin: that takes an approver too.
plan L1
plan L2

> open web-1 ask=limit
  opened
  held (nobody) limit, and plan web names no group that may approve L1: it begins when an approver lets it
    tell ops: red
    tell l1-people: red
    tell ops: held if nobody acts: nothing happens until somebody acts
    tell l1-people: held if nobody acts: nothing happens until somebody acts
= held

> escalate ann L1 would not help
refused: rollback CHG1-r1 is held since no group may approve: only somebody with the role approver lets it go on: forbidden

> approver_escalates paul L1 would not help
refused: paul asked for this change, wrote its plan or started the rollback; somebody else must let it go on: forbidden

> approver_escalates ann L1 would not help
  released
  level_entered L2 web-1 because escalated by ann
  step_requested CHG1-r1.L2.s1.t1.a1 on web-1
    tell ops: resumed
    tell l1-people: resumed
    tell l2-people: level_started if nobody acts: the rollback is exhausted
= running, next at +30m
