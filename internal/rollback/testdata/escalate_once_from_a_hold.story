# Two people have the same held level before them: the second one leaves nothing more.
plan L1
plan L2 approval=1
plan L3 approval=1

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

> fail web-1 exit 1
  step_failed CHG1-r1.L1.s1.t1.a1: exit 1
  level_failed L1 by failure: web-1
  asked L2 required (L2 needs an approval)
    tell l1-people: escalated
    tell l2-people: escalated
    tell l2-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= awaiting_approval, next at +28m

> deny eve sales
  voted
  answered denied by eve
  held (denied) eve denied L2
    tell ops: held if nobody acts: nothing happens until somebody acts
    tell l1-people: held if nobody acts: nothing happens until somebody acts
    tell l2-people: held if nobody acts: nothing happens until somebody acts
= held

> escalate_from L2 ann L2 would not help
  released
  asked L3 required (L3 needs an approval)
    tell ops: resumed
    tell l1-people: resumed
    tell l2-people: resumed
    tell l3-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= awaiting_approval, next at +28m

> escalate_from L2 bob L2 would not help
refused: rollback CHG1-r1 has left L2 already: stale: it belongs to something older
