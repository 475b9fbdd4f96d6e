"""A wind tunnel: one day on a simulated clock, dispatched through the API and by hand beside it.

`people` says what people would do, whoever dispatches; `crew` how technicians live through their day; `through_api` and
`through_phone` are the two who dispatch; `figures`, `report` and `picture` say what came of it; `sweep` looks through
the database for what must never be. Instants are seconds of the Unix epoch, money is in cents.
"""
