# ann broke the glass as one of sre, and nothing has started; sre is somebody else since the reload. What she did stays open for a review.
plan L1 approval=2

> open web-1
  opened
  asked L1 required (L1 needs an approval)
    tell ops: red
    tell l1-people: red
    tell l1-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= pending, next at +28m

> break_glass ann sre members=old reason=alone
  glass_broken L1 by ann with 0 of 2 votes
  answered break_glass by ann
  level_entered L1 web-1 because break-glass by ann: alone
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
    tell ops: break_glass if nobody acts: the review stays open
    tell l1-people: break_glass if nobody acts: the review stays open
    tell l1-people: level_started if nobody acts: the rollback is exhausted
= running, next at +10m

> members old
nothing

> members new
  approval_voided L1 of CHG1-r1.q1, 0 votes: who is in the approving groups has changed
  asked L1 required (L1 needs an approval; asked anew: who is in the approving groups has changed)
    tell l1-people: approval_voided if nobody acts: L1 is asked for anew
    tell ops: approval_voided if nobody acts: L1 is asked for anew
    tell l1-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= pending, next at +28m

> claim CHG1-r1.L1.s1.t1.a1
refused: attempt CHG1-r1.L1.s1.t1.a1: stale: it belongs to something older

> review bob he may look at it all the same
  reviewed by bob: he may look at it all the same
= pending, next at +28m
