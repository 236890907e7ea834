plan L1

> open web-1
  opened
  level_entered L1 web-1
  step_requested CHG1-r1.L1.s1.t1.a1 on web-1
    tell ops: red
    tell l1-people: red
    tell l1-people: level_started if nobody acts: the rollback is exhausted
= running, next at +30m

> takeover web-1 server-1 server-2
refused: attempt CHG1-r1.L1.s1.t1.a1 is looked after by "", not "server-1": conflict: it changed meanwhile

> claim web-1
  step_started CHG1-r1.L1.s1.t1.a1
  clock_started until +30m
= running, next at +30m

> takeover web-1 server-3 server-2
refused: attempt CHG1-r1.L1.s1.t1.a1 is looked after by "server-1", not "server-3": conflict: it changed meanwhile

> takeover web-1 server-1 server-2
  step_taken_over CHG1-r1.L1.s1.t1.a1 from server-1 to server-2
= running, next at +30m

> takeover web-1 server-1 server-3
refused: attempt CHG1-r1.L1.s1.t1.a1 is looked after by "server-2", not "server-1": conflict: it changed meanwhile

> claim web-1
refused: attempt CHG1-r1.L1.s1.t1.a1 is claimed by server-2: conflict: it changed meanwhile

> pause ann
  paused
    tell ops: paused if nobody acts: nothing happens until somebody resumes
    tell l1-people: paused if nobody acts: nothing happens until somebody resumes
= running

> takeover web-1 server-2 server-3
  step_taken_over CHG1-r1.L1.s1.t1.a1 from server-2 to server-3
= running

> done web-1
  step_done
= running

> takeover web-1 server-3 server-2
refused: attempt CHG1-r1.L1.s1.t1.a1: stale: it belongs to something older
