plan L1 approval=2 channels=dashboard

> open web-1
  opened
  asked L1 required (L1 needs an approval)
    tell ops: red
    tell l1-people: red
    tell l1-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= pending, next at +28m

> break_glass ann sre via=api reason=alone
  vote_refused (wrong_channel) an approval of L1 counts by dashboard only, not by "api"
= pending, next at +28m

> break_glass ann sre via=dashboard reason=alone
  glass_broken L1 by ann with 0 of 2 votes
  answered break_glass by ann
  level_entered L1 web-1 because break-glass by ann: alone
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
    tell ops: break_glass if nobody acts: the review stays open
    tell l1-people: break_glass if nobody acts: the review stays open
    tell l1-people: level_started if nobody acts: the rollback is exhausted
= running, next at +10m
