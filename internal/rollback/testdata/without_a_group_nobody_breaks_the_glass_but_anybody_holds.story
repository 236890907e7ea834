# A veto window whose level names no group, and no level behind it does: an empty list is
# nobody. The window itself runs, and anybody may hold it.
plan L1 veto=5m

> open web-1
  opened
  asked L1 veto (L1 starts unless somebody holds it)
    tell ops: red
    tell l1-people: red
    tell l1-people: approval_needed if nobody acts: L1 starts
    tell ops: approval_needed if nobody acts: L1 starts
= pending, next at +5m

> break_glass ann sre reason=alone
  vote_refused (not_in_group) the plan names no group that may start it, so nobody may; holding and denying are open to anybody on duty
= pending, next at +5m

> break_glass rita reason=alone
  vote_refused (not_in_group) the plan names no group that may start it, so nobody may; holding and denying are open to anybody on duty
= pending, next at +5m

> deny bob
  voted
  answered denied by bob
  held (denied) bob denied L1
    tell ops: held if nobody acts: nothing happens until somebody acts
    tell l1-people: held if nobody acts: nothing happens until somebody acts
= held

> release bob
  released
  asked L1 veto (L1 starts unless somebody holds it)
    tell ops: resumed
    tell l1-people: resumed
    tell l1-people: approval_needed if nobody acts: L1 starts
    tell ops: approval_needed if nobody acts: L1 starts
= pending, next at +5m

> +5m
  answered unheld
  level_entered L1 web-1 because nobody held it
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
    tell l1-people: level_started if nobody acts: the rollback is exhausted
= running, next at +35m
