# Requester, author and stranger, the wrong channel and an old login: refused, recorded, and nothing moves.
plan L1 approval=1 step_up=5m channels=dashboard,cli

> open web-1
  opened
  asked L1 required (L1 needs an approval)
    tell ops: red
    tell l1-people: red
    tell l1-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= pending, next at +28m

> approve rita sre via=cli login=1m
  vote_refused (excluded) rita asked for this change, wrote its plan or started the rollback; somebody else must approve
= pending, next at +28m

> approve paul sre via=cli login=1m
  vote_refused (excluded) paul asked for this change, wrote its plan or started the rollback; somebody else must approve
= pending, next at +28m

> approve eve dba via=cli login=1m
  vote_refused (not_in_group) eve is in none of the approving groups [sre]
= pending, next at +28m

> approve ann sre via=slack login=1m
  vote_refused (wrong_channel) an approval of L1 counts by dashboard or cli only, not by "slack"
= pending, next at +28m

> approve ann sre via=dashboard
  vote_refused (no_fresh_login) L1 takes a login within the last 5m; log in again and then approve
= pending, next at +28m

> approve ann sre via=dashboard login=6m
  vote_refused (no_fresh_login) L1 takes a login within the last 5m; log in again and then approve
= pending, next at +28m

> refused slack/T1/U7 unmapped the Slack account is linked to nobody
  vote_refused (unmapped) the Slack account is linked to nobody
= pending, next at +28m

> refused dan forbidden it takes the role approver
  vote_refused (forbidden) it takes the role approver
= pending, next at +28m

> refused dan nonsense whatever
refused: cause "nonsense": want forbidden, unmapped or inactive: invalid

> approve ann sre via=dashboard login=5m
  voted
  answered approved by ann
  level_entered L1 web-1 because approved by ann (dashboard)
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
    tell l1-people: level_started if nobody acts: the rollback is exhausted
= running, next at +10m
