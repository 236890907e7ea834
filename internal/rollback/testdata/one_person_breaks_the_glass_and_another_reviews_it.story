# The requester is alone at night: loud, with a reason, and left open until somebody else has looked. The end does not close it.
plan L1 approval=2

> open web-1
  opened
  asked L1 required (L1 needs an approval)
    tell ops: red
    tell l1-people: red
    tell l1-people: approval_needed if nobody acts: the rollback is held
    tell ops: approval_needed if nobody acts: the rollback is held
= pending, next at +28m

> approve ann sre
  voted
= pending, next at +10m

> break_glass rita sre
refused: say why: whoever breaks the glass gives a reason: invalid

> break_glass eve dba reason=alone
  vote_refused (not_in_group) eve is in none of the approving groups [sre]
= pending, next at +10m

> break_glass rita sre reason=alone
  glass_broken L1 by rita with 1 of 2 votes
  answered break_glass by rita
  level_entered L1 web-1 because break-glass by rita: alone
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
    tell ops: break_glass if nobody acts: the review stays open
    tell l1-people: break_glass if nobody acts: the review stays open
    tell l1-people: level_started if nobody acts: the rollback is exhausted
= running, next at +10m

> break_glass ann sre ask=q1 reason=alone
  vote_refused (too_late) already decided by rita at 2026-01-02T02:03:00Z: L1 was started by break-glass
= running, next at +10m

> claim web-1
  step_started CHG1-r1.L1.s1.t1.a1
  clock_started until +30m
= running, next at +30m

> review rita it was right
refused: rita broke the glass; somebody else must review it: refused

> done web-1
  step_done
  verify_started
= verifying, next at +30m

> green web-1
  target_green
= verifying, next at +30m

> +2m
nothing

> green web-1
  target_back web-1
  ended recovered: every target was green for 2m
    tell ops: recovered
    tell l1-people: recovered
= recovered

> review bob
refused: say what you found: a review needs a reason: invalid

> review bob it was right
  reviewed by bob: it was right
= recovered

> review bob again
refused: rollback CHG1-r1 has nothing to review: refused
