# A silence counts only while somebody could have spoken.
plan L1 veto=5m

> open web-1
  opened
  asked L1 veto (L1 starts unless somebody holds it)
    tell ops: red
    tell l1-people: red
    tell l1-people: approval_needed if nobody acts: L1 starts
    tell ops: approval_needed if nobody acts: L1 starts
= pending, next at +5m

> +3m
nothing

> channels down ops: slack answers 500
  channels_down: ops: slack answers 500
    tell ops: channels_down if nobody acts: the clock of L1 stands still until somebody can be told
    tell l1-people: channels_down if nobody acts: the clock of L1 stands still until somebody can be told
= pending

> channels down ops: slack answers 500
nothing

> +1h
nothing

> channels up
  channels_up, deadline +1h5m
= pending, next at +1h5m

> +1m59s
nothing

> +1s
  answered unheld
  level_entered L1 web-1 because nobody held it
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
    tell l1-people: level_started if nobody acts: the rollback is exhausted
= running, next at +1h35m
