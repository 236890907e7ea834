plan L1 approval=1

> open web-1
  opened
  asked L1 required (L1 needs an approval)
    tell ops: red
    tell l1-people: red
    tell l1-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= pending, next at +28m

> +30m
  answered expired
  held (denied) nobody approved L1 in time
    tell ops: held if nobody acts: nothing happens until somebody acts
    tell l1-people: held if nobody acts: nothing happens until somebody acts
= held

> +10h
nothing

> release ann look again
  released
  asked L1 required (L1 needs an approval)
    tell ops: resumed
    tell l1-people: resumed
    tell l1-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= pending, next at +10h58m
