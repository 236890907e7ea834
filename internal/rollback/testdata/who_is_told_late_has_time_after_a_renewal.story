# The new question keeps the deadline of the old one, which has passed meanwhile.
plan L1 approval=2 expiry=go
plan L2

> open web-1
  opened
  asked L1 required (L1 needs an approval)
    tell ops: red
    tell l1-people: red
    tell l1-people: approval_needed if nobody acts: L1 starts
    tell ops: approval_needed if nobody acts: L1 starts
= pending, next at +28m

> +25m
nothing

> approve ann sre
  voted
= pending, next at +28m

> +4m58s
  last_call
    tell l1-people: last_call if nobody acts: L1 starts
    tell ops: last_call if nobody acts: L1 starts
= pending, next at +30m

> channels down no way
  channels_down: no way
    tell ops: channels_down if nobody acts: the clock of L1 stands still until somebody can be told
    tell l1-people: channels_down if nobody acts: the clock of L1 stands still until somebody can be told
= pending, next at +35m

> +6m
  approval_voided L1 of CHG1-r1.q1, 1 votes: the approval of ann is older than 10m
  asked L1 required (L1 needs an approval; asked anew: the approval of ann is older than 10m)
    tell l1-people: approval_voided if nobody acts: L1 is asked for anew
    tell ops: approval_voided if nobody acts: L1 is asked for anew
    tell l1-people: approval_needed if nobody acts: L1 starts
    tell ops: approval_needed if nobody acts: L1 starts
= pending

> channels up
  channels_up, deadline +36m58s
= pending, next at +36m58s

> +59s
nothing

> +1s
  answered expired
  level_entered L1 web-1 because the question expired, and the plan says go
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
    tell l1-people: level_started if nobody acts: L2 follows
= running, next at +1h6m58s
