# L1 is entered, and its target cannot be reached. The alert resolves before a runner has claimed anything: nothing has happened.
plan L1
plan L2

> open web-1 web-2
  opened
  level_entered L1 web-1 web-2
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
  step_requested CHG1-r1.L1.s1.t2.a1 on web-2
    tell ops: red
    tell l1-people: red
    tell l1-people: level_started if nobody acts: L2 follows
= running, next at +30m

> resolved
  ended cancelled: the alert resolved before anything had started
    tell ops: cancelled
    tell l1-people: cancelled
= cancelled

> claim CHG1-r1.L1.s1.t1.a1
refused: rollback CHG1-r1 is cancelled: it has ended
