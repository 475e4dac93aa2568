"""Fails where forecasts or decisions score worse than recorded. Nothing here is random, so the
margin is for other machines' rounding alone. `--record` writes what is found instead."""
import json
import sys

import numpy as np
import pandas as pd

MARGIN = 1.01
record = "--record" in sys.argv
forecast, settings, recorded = [a for a in sys.argv[1:] if a != "--record"]
scores = pd.read_csv(forecast)
wql = scores.pivot(index="series", columns="model", values="WQL")
found = {"relWQL": float(np.exp(np.log(wql.neap / wql.naive).mean()))}
for row in pd.read_csv(settings).itertuples():
    # One figure for a point on the curve: what it costs, and what it misses beyond its promise.
    over = max(1.0, row.viol * 100 / float(row.setting))
    found[f"cost at {row.setting} %"] = float(row.cost)
    found[f"violations over the promise at {row.setting} %"] = over
if record:
    json.dump(found, open(recorded, "w"), indent=2)
    sys.exit(0)
before = json.load(open(recorded))
worse = 0
for name, limit in before.items():
    verdict = "held" if found[name] <= limit * MARGIN else "WORSE"
    worse += verdict != "held"
    print(f"{name}: {found[name]:.4f}, recorded {limit:.4f}: {verdict}")
sys.exit(1 if worse else 0)
