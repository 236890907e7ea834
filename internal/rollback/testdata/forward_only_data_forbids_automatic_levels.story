plan data_migration=forward_only
plan L1
plan L2 approval=1

> open web-1
  opened
  asked L1 required (the patch moved data forward only)
    tell ops: red
    tell l1-people: red
    tell l1-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= pending, next at +28m
