plan L1

> open web-1 ask=limit
  opened
  held (nobody) L1 needs an approval and no group may give it
    tell ops: red
    tell l1-people: red
    tell ops: held if nobody acts: nothing happens until somebody acts
    tell l1-people: held if nobody acts: nothing happens until somebody acts
= held

> +10h
nothing
