plan L1 approval=2 step_up=5m

> open web-1
  opened
  asked L1 required (L1 needs an approval)
    tell ops: red
    tell l1-people: red
    tell l1-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= pending, next at +28m

> break_glass ann sre via=cli reason=alone
  vote_refused (no_fresh_login) L1 takes a login within the last 5m; log in again and then approve
= pending, next at +28m

> break_glass ann sre via=cli login=1m reason=alone
  glass_broken L1 by ann with 0 of 2 votes
  answered break_glass by ann
  level_entered L1 web-1 because break-glass by ann: alone
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
    tell ops: break_glass if nobody acts: the review stays open
    tell l1-people: break_glass if nobody acts: the review stays open
    tell l1-people: level_started if nobody acts: the rollback is exhausted
= running, next at +10m
