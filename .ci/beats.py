"""Fails unless the decisions scored are cheaper than each baseline at the baseline's own rate of violations, and
keep their promises on regular traces.

beats.py TASKS SETTINGS_OF_ALL TRACES_OF_REGULAR: three tables that the judge writes.
"""
import sys

import numpy as np
import pandas as pd

tasks, settings, traces = (pd.read_csv(path) for path in sys.argv[1:4])
scored = pd.to_datetime(tasks.last_decision) - pd.to_datetime(tasks.scored_from)
steps = dict(zip(tasks.series, scored.dt.total_seconds() / tasks.step_s + 1))
settings = settings[settings.family != "unlimited-L300"]
mine = settings.family == "neap-L300"
points = settings[mine].sort_values("viol")
rate, cost = np.log(points.viol.clip(lower=1e-6)), np.log(np.minimum.accumulate(points.cost))
failed = 0
for row in settings[~mine].sort_values("viol").itertuples():
    if points.viol.min() <= row.viol <= points.viol.max():
        here = float(np.exp(np.interp(np.log(row.viol), rate, cost)))
        failed += here >= row.cost
        verdict = "cheaper" if here < row.cost else "NOT CHEAPER"
        print(f"{row.family} {row.setting}: {row.cost:.2f} at {row.viol:.2%} violations; neap {here:.2f}: {verdict}")

print("promise on regular traces: missed on the mean, and the trace nearest to its limit")
for budget, group in traces[traces.family == "neap-L300"].groupby("setting"):
    promise = float(budget) / 100
    # Of a trace's scored steps, ten may be missed beyond the promise, or three times the promise.
    limit = np.maximum(3 * promise, promise + 10 / group.series.map(steps))
    nearest = (group.viol / limit).idxmax()
    mean = group.viol.mean() / promise
    kept = mean <= 1.5 and (promise < 0.01 or mean >= 0.5) and group.viol[nearest] <= limit[nearest]
    failed += not kept
    print(
        f"{promise:.2%}: x{mean:.2f}, {group.actions.mean():.0f} actions a day; {group.series[nearest]} "
        f"{group.viol[nearest]:.2%} of at most {limit[nearest]:.2%}: {'kept' if kept else 'NOT KEPT'}"
    )
sys.exit(1 if failed else 0)
