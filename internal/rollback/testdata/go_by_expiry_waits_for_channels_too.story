plan L1 approval=1 expiry=go
plan L2

> open web-1
  opened
  asked L1 required (L1 needs an approval)
    tell ops: red
    tell l1-people: red
    tell l1-people: approval_needed if nobody acts: L1 starts
    tell ops: approval_needed if nobody acts: L1 starts
= pending, next at +28m

> +20m
nothing

> channels down no way
  channels_down: no way
    tell ops: channels_down if nobody acts: the clock of L1 stands still until somebody can be told
    tell l1-people: channels_down if nobody acts: the clock of L1 stands still until somebody can be told
= pending

> +1h
nothing

> channels up
  channels_up, deadline +1h30m
= pending, next at +1h28m

> +10m
  answered expired
  level_entered L1 web-1 because the question expired, and the plan says go
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
    tell l1-people: level_started if nobody acts: L2 follows
= running, next at +2h
