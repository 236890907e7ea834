# L2 was left out when nobody answered, and L3 was approved. The approval lapses, and the
# new question is held and denied: it is L3 that is asked for again, not L2 once more.
plan L1
plan L2 approval=1 expiry=escalate
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
    tell l2-people: approval_needed if nobody acts: L3 is asked for
    tell ops: approval_needed if nobody acts: L3 is asked for
= awaiting_approval, next at +28m

> +30m
  answered expired
  asked L3 required (L3 needs an approval)
    tell l3-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= awaiting_approval, next at +58m

> approve ann sre
  voted
  answered approved by ann
  level_entered L3 web-1 because approved by ann
  step_requested CHG1-r1.L3.s1.t1.a1 on web-1
    tell l3-people: level_started if nobody acts: the rollback is exhausted
= running, next at +40m

> +10m
  approval_voided L3 of CHG1-r1.q2, 1 votes: L3 was approved at 2026-01-02T02:33:00Z, and nothing of it has started
  asked L3 required (L3 needs an approval; asked anew: L3 was approved at 2026-01-02T02:33:00Z, and nothing of it has started)
    tell l3-people: approval_voided if nobody acts: L3 is asked for anew
    tell ops: approval_voided if nobody acts: L3 is asked for anew
    tell l3-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= awaiting_approval, next at +1h8m

> hold bob wait
  answered held by bob
  held (person) held by bob: wait
    tell ops: held if nobody acts: nothing happens until somebody acts
    tell l1-people: held if nobody acts: nothing happens until somebody acts
    tell l2-people: held if nobody acts: nothing happens until somebody acts
    tell l3-people: held if nobody acts: nothing happens until somebody acts
= held

> release bob
  released
  asked L3 required (L3 needs an approval)
    tell ops: resumed
    tell l1-people: resumed
    tell l2-people: resumed
    tell l3-people: resumed
    tell l3-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= awaiting_approval, next at +1h8m

> deny bob sre
  voted
  answered denied by bob
  held (denied) bob denied L3
    tell ops: held if nobody acts: nothing happens until somebody acts
    tell l1-people: held if nobody acts: nothing happens until somebody acts
    tell l2-people: held if nobody acts: nothing happens until somebody acts
    tell l3-people: held if nobody acts: nothing happens until somebody acts
= held

> release bob
  released
  asked L3 required (L3 needs an approval)
    tell ops: resumed
    tell l1-people: resumed
    tell l2-people: resumed
    tell l3-people: resumed
    tell l3-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= awaiting_approval, next at +1h8m
