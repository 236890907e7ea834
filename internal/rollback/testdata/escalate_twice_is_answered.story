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

> claim web-1
  step_started CHG1-r1.L1.s1.t1.a1
  clock_started until +30m
= running, next at +30m

> +30m
  level_overdue
  stop_requested CHG1-r1.L1.s1.t1.a1: the level's time is up
    tell l1-people: overdue if nobody acts: L2 follows when they have ended
= running

> escalate ann do not wait
  level_overdue
    tell l1-people: overdue if nobody acts: L2 follows when they have ended
= running

> escalate bob me too
refused: rollback CHG1-r1 is being escalated by ann; its steps must end first, or abort it: refused

> done web-1
  step_done
  level_failed L1 by manual: web-1
  level_entered L2 web-1 because manual
  step_requested CHG1-r1.L2.s1.t1.a1 on web-1
    tell l1-people: escalated
    tell l2-people: escalated
    tell l2-people: level_started if nobody acts: the rollback is exhausted
= running, next at +1h
