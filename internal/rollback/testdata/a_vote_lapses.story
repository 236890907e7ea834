# A vote counts for ten minutes. The question is asked anew and its time goes on: voting puts no expiry off.
plan L1 approval=2

> open web-1
  opened
  asked L1 required (L1 needs an approval)
    tell ops: red
    tell l1-people: red
    tell l1-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= pending, next at +28m

> +2m
nothing

> approve ann sre
  voted
= pending, next at +12m

> +10m
  approval_voided L1 of CHG1-r1.q1, 1 votes: the approval of ann is older than 10m
  asked L1 required (L1 needs an approval; asked anew: the approval of ann is older than 10m)
    tell l1-people: approval_voided if nobody acts: L1 is asked for anew
    tell ops: approval_voided if nobody acts: L1 is asked for anew
    tell l1-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= pending, next at +28m

> approve bob sre
  voted
= pending, next at +22m

> +18m
  answered expired
  held (denied) nobody approved L1 in time
    tell ops: held if nobody acts: nothing happens until somebody acts
    tell l1-people: held if nobody acts: nothing happens until somebody acts
= held
