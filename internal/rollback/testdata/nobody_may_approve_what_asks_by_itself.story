# Going on is no yes to a level that wants votes.
plan L1 approval=1 groups=

> open web-1
  opened
  held (nobody) L1 needs an approval and no group may give it
    tell ops: red
    tell l1-people: red
    tell ops: held if nobody acts: nothing happens until somebody acts
    tell l1-people: held if nobody acts: nothing happens until somebody acts
= held

> approver_releases ann L1 looks right
  released
  held (nobody) L1 needs an approval and no group may give it
    tell ops: resumed
    tell l1-people: resumed
    tell ops: held if nobody acts: nothing happens until somebody acts
    tell l1-people: held if nobody acts: nothing happens until somebody acts
= held
