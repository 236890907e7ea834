plan L1 approval=2

> open web-1
  opened
  asked L1 required (L1 needs an approval)
    tell ops: red
    tell l1-people: red
    tell l1-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= pending, next at +28m

> +27m
nothing

> approve ann sre
  voted
= pending, next at +28m

> +1m
  last_call
    tell l1-people: last_call if nobody acts: the rollback is held
    tell ops: last_call if nobody acts: the rollback is held
= pending, next at +30m

> +1m
nothing

> +1m
  answered expired
  held (denied) nobody approved L1 in time
    tell ops: held if nobody acts: nothing happens until somebody acts
    tell l1-people: held if nobody acts: nothing happens until somebody acts
= held
