"""Fails unless the decisions scored are cheaper than each baseline at the baseline's own rate of violations."""
import sys

import numpy as np
import pandas as pd

mine, baselines = pd.read_csv(sys.argv[1]), pd.read_csv(sys.argv[2])
points = mine.sort_values("viol")
rate, cost = np.log(points.viol.clip(lower=1e-6)), np.log(np.minimum.accumulate(points.cost))
lost = 0
for family, setting in (("static", "p99"), ("hpa", "0.7")):
    row = baselines[(baselines.family == family) & (baselines.setting.astype(str) == setting)].iloc[0]
    here = float(np.exp(np.interp(np.log(row.viol), rate, cost)))
    reached = points.viol.min() <= row.viol
    verdict = "cheaper" if reached and here < row.cost else "NOT CHEAPER"
    lost += verdict != "cheaper"
    print(f"{family} {setting}: {row.cost:.2f} at {row.viol:.2%} violations; neap {here:.2f}: {verdict}")
sys.exit(1 if lost else 0)
