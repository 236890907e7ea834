# L2 needs two of sre. The requester and the plan's author do not count, nor does
# anybody twice, nor somebody outside the group.
plan L1
plan L2 approval=2

> open web-1
  opened
  level_entered L1 web-1
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
    tell ops: red
    tell l1-people: red
    tell l1-people: level_started if nobody acts: L2 is asked for
= running, next at +30m

> claim web-1
  step_started CHG1-r1.L1.s1.t1.a1
  clock_started until +30m
= running, next at +30m

> fail web-1 exit status 1
  step_failed CHG1-r1.L1.s1.t1.a1: exit status 1
  level_failed L1 by failure: web-1
  asked L2 required (L2 needs an approval)
    tell l1-people: escalated
    tell l2-people: escalated
    tell l2-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= awaiting_approval, next at +28m

> approve rita sre
  vote_refused (excluded) rita asked for this change, wrote its plan or started the rollback; somebody else must approve
= awaiting_approval, next at +28m

> approve paul sre
  vote_refused (excluded) paul asked for this change, wrote its plan or started the rollback; somebody else must approve
= awaiting_approval, next at +28m

> approve eve sales
  vote_refused (not_in_group) eve is in none of the approving groups [sre]
= awaiting_approval, next at +28m

> approve ann sre
  voted
= awaiting_approval, next at +10m

> approve ann sre
  vote_refused (voted_already) ann has voted already
= awaiting_approval, next at +10m

> approve bob sre
  voted
  answered approved by bob
  level_entered L2 web-1 because approved by ann, bob
  step_requested CHG1-r1.L2.s1.t1.a1 on web-1
    tell l2-people: level_started if nobody acts: the rollback is exhausted
= running, next at +10m
