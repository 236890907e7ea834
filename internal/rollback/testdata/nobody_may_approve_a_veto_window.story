plan L1 veto=5m

> open web-1 ask=limit
  opened
  held (nobody) limit, and plan web names no group that may approve L1: its veto window opens when an approver lets it
    tell ops: red
    tell l1-people: red
    tell ops: held if nobody acts: nothing happens until somebody acts
    tell l1-people: held if nobody acts: nothing happens until somebody acts
= held

> approver_releases ann L1 looks right
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
