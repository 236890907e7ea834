# The rollback is held for a doubt, and Ann sees a reason to stop it. When somebody says what happened, her hold stands until somebody ends it.
plan L1

> open web-1
  opened
  level_entered L1 web-1
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
    tell ops: red
    tell l1-people: red
    tell l1-people: level_started if nobody acts: the rollback is exhausted
= running, next at +30m

> claim web-1
  step_started CHG1-r1.L1.s1.t1.a1
  clock_started until +30m
= running, next at +30m

> doubt web-1 the target rebooted
  step_in_doubt
  held (doubt) a step is in doubt; somebody must say whether it happened
    tell l1-people: in_doubt
    tell ops: in_doubt
    tell ops: held if nobody acts: nothing happens until somebody acts
    tell l1-people: held if nobody acts: nothing happens until somebody acts
= held

> hold ann the restore overwrites new orders
  held (person) held by ann: the restore overwrites new orders
    tell ops: held if nobody acts: nothing happens until somebody acts
    tell l1-people: held if nobody acts: nothing happens until somebody acts
= held

> hold bob me too
refused: rollback CHG1-r1 is held already: refused

> release cel
refused: rollback CHG1-r1 has an attempt in doubt; resolve it first: refused

> resolve web-1 happened bob
  doubt_resolved happened by bob
= held

> +10m
nothing

> release ann the orders are safe
  released
  verify_started
    tell ops: resumed
    tell l1-people: resumed
= verifying, next at +40m
