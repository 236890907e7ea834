# The veto window names no group; those of the level behind it count, and no others.
plan L1 veto=5m
plan L2 approval=2

> open web-1
  opened
  asked L1 veto (L1 starts unless somebody holds it)
    tell ops: red
    tell l1-people: red
    tell l1-people: approval_needed if nobody acts: L1 starts
    tell ops: approval_needed if nobody acts: L1 starts
= pending, next at +5m

> break_glass eve ops reason=alone
  vote_refused (not_in_group) eve is in none of the approving groups [sre]
= pending, next at +5m

> break_glass ann sre
refused: say why: whoever breaks the glass gives a reason: invalid

> break_glass rita sre reason=alone
  glass_broken L1 by rita with 0 of 1 votes
  answered break_glass by rita
  level_entered L1 web-1 because break-glass by rita: alone
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
    tell ops: break_glass if nobody acts: the review stays open
    tell l1-people: break_glass if nobody acts: the review stays open
    tell l1-people: level_started if nobody acts: L2 is asked for
= running, next at +10m

> review rita it worked
refused: rita broke the glass; somebody else must review it: refused

> review ann it worked
  reviewed by ann: it worked
= running, next at +10m
