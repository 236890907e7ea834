# Nobody has voted: the question follows the targets, at most every 30 seconds. Whoever votes on the old one is told.
plan L1
plan L2 approval=1

> open web-1 web-2 web-3
  opened
  level_entered L1 web-1 web-2 web-3
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
  step_requested CHG1-r1.L1.s1.t2.a1 on web-2
  step_requested CHG1-r1.L1.s1.t3.a1 on web-3
    tell ops: red
    tell l1-people: red
    tell l1-people: level_started if nobody acts: L2 is asked for
= running, next at +30m

> claim web-1
  step_started CHG1-r1.L1.s1.t1.a1
  clock_started until +30m
= running, next at +30m

> claim web-2
  step_started CHG1-r1.L1.s1.t2.a1
= running, next at +30m

> claim web-3
  step_started CHG1-r1.L1.s1.t3.a1
= running, next at +30m

> done web-1
  step_done
= running, next at +30m

> done web-2
  step_done
= running, next at +30m

> done web-3
  step_done
  verify_started
= verifying, next at +30m

> green web-1
  target_green
= verifying, next at +30m

> +28m10s
nothing

> green web-2
  target_green
= verifying, next at +30m

> +1m50s
  level_failed L1 by time: web-1 web-2 web-3
  asked L2 required (L2 needs an approval)
    tell l1-people: escalated
    tell l2-people: escalated
    tell l2-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= awaiting_approval, next at +58m

> green web-1
  target_back web-1
= awaiting_approval, next at +30m30s

> +10s
nothing

> green web-2
  target_back web-2
= awaiting_approval, next at +30m30s

> +5s
nothing

> approve ann sre
  vote_refused (outdated) question CHG1-r1.q1 counts no more: web-1, web-2 have recovered; L2 is asked anew
  approval_voided L2 of CHG1-r1.q1, 0 votes: web-1, web-2 have recovered
  asked L2 required (L2 needs an approval; asked anew: web-1, web-2 have recovered)
    tell l2-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= awaiting_approval, next at +58m

> approve ann sre
  voted
  answered approved by ann
  level_entered L2 web-3 because approved by ann
  step_requested CHG1-r1.L2.s1.t3.a1 on web-3
    tell l2-people: level_started if nobody acts: the rollback is exhausted
= running, next at +40m15s
