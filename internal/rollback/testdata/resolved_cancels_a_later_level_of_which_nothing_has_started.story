# Nobody claims L1, its time is up, and nobody claims L2: nothing has happened when the alert resolves.
plan L1
plan L2

> open web-1
  opened
  level_entered L1 web-1
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
    tell ops: red
    tell l1-people: red
    tell l1-people: level_started if nobody acts: L2 follows
= running, next at +30m

> +30m
  level_overdue
  step_failed CHG1-r1.L1.s1.t1.a1: never started: the level's time is up
  level_failed L1 by time: web-1
  level_entered L2 web-1 because time
  step_requested CHG1-r1.L2.s1.t1.a1 on web-1
    tell l1-people: overdue if nobody acts: L2 follows when they have ended
    tell l1-people: escalated
    tell l2-people: escalated
    tell l2-people: level_started if nobody acts: the rollback is exhausted
= running, next at +1h

> resolved
  ended cancelled: the alert resolved before anything had started
    tell ops: cancelled
    tell l1-people: cancelled
    tell l2-people: cancelled
= cancelled
