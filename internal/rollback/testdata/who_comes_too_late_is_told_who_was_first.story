# The loser of a race hears who won and when, and the log keeps both.
plan L1 approval=1

> open web-1
  opened
  asked L1 required (L1 needs an approval)
    tell ops: red
    tell l1-people: red
    tell l1-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= pending, next at +28m

> approve ann sre
  voted
  answered approved by ann
  level_entered L1 web-1 because approved by ann
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
    tell l1-people: level_started if nobody acts: the rollback is exhausted
= running, next at +10m

> deny bob sre ask=q1
  vote_refused (too_late) already decided by ann at 2026-01-02T02:03:00Z: L1 was approved
= running, next at +10m

> approve cem sre ask=q1
  vote_refused (too_late) already decided by ann at 2026-01-02T02:03:00Z: L1 was approved
= running, next at +10m

> approve cem sre ask=q9
refused: question CHG1-r1.q9 is not open: stale: it belongs to something older
