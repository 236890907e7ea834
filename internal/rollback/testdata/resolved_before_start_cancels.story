# The rule says for: 2m. The alert resolves before that: nothing has happened.
plan L1

> open web-1 for=2m
  opened
    tell ops: red
    tell l1-people: red
= pending, next at +2m

> +1m
nothing

> resolved
  ended cancelled: the alert resolved before anything had started
    tell ops: cancelled
    tell l1-people: cancelled
= cancelled

> +10m
refused: rollback CHG1-r1 is cancelled: it has ended
