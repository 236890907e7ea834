# Two seconds were left of the window: whoever hears of it only now has a minute.
plan L1 veto=5m

> open web-1
  opened
  asked L1 veto (L1 starts unless somebody holds it)
    tell ops: red
    tell l1-people: red
    tell l1-people: approval_needed if nobody acts: L1 starts
    tell ops: approval_needed if nobody acts: L1 starts
= pending, next at +5m

> +4m58s
nothing

> channels down no way
  channels_down: no way
    tell ops: channels_down if nobody acts: the clock of L1 stands still until somebody can be told
    tell l1-people: channels_down if nobody acts: the clock of L1 stands still until somebody can be told
= pending

> +10m
nothing

> channels up
  channels_up, deadline +15m58s
= pending, next at +15m58s

> +59s
nothing

> hold bob wait
  answered held by bob
  held (person) held by bob: wait
    tell ops: held if nobody acts: nothing happens until somebody acts
    tell l1-people: held if nobody acts: nothing happens until somebody acts
= held
