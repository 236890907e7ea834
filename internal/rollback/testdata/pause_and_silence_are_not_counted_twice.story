# Down at +1m, paused at +2m for an hour, up at +1h3m: four minutes of the window are left.
plan L1 veto=5m

> open web-1
  opened
  asked L1 veto (L1 starts unless somebody holds it)
    tell ops: red
    tell l1-people: red
    tell l1-people: approval_needed if nobody acts: L1 starts
    tell ops: approval_needed if nobody acts: L1 starts
= pending, next at +5m

> +1m
nothing

> channels down no way
  channels_down: no way
    tell ops: channels_down if nobody acts: the clock of L1 stands still until somebody can be told
    tell l1-people: channels_down if nobody acts: the clock of L1 stands still until somebody can be told
= pending

> +1m
nothing

> pause ann network works
  paused
    tell ops: paused if nobody acts: nothing happens until somebody resumes
    tell l1-people: paused if nobody acts: nothing happens until somebody resumes
= pending

> +1h
nothing

> channels up
nothing

> resume ann
  resumed
    tell ops: resumed
    tell l1-people: resumed
= pending

> +1m
nothing

> channels up
  channels_up, deadline +1h7m
= pending, next at +1h7m

> +4m
  answered unheld
  level_entered L1 web-1 because nobody held it
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
    tell l1-people: level_started if nobody acts: the rollback is exhausted
= running, next at +1h37m
