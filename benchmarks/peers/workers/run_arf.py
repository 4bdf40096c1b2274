"""Fit an adversarial random forest of arfpy with its defaults: `python run_arf.py FOLDER`. It cannot be stopped."""

import numpy as np
import pandas as pd
from arfpy import arf
from protocol import BudgetSpentError, Job, deadline


def main() -> None:
    """Fit, sample and write."""
    job = Job.from_command_line()
    packages = ("arfpy", "scikit-learn", "numpy", "pandas")
    np.random.seed(job.seed)
    levels = {name: job.train[name].map(str, na_action="ignore").astype(object) for name in job.categories}
    table = job.train.assign(**levels)

    def sample(state: arf.arf, rows: int) -> pd.DataFrame:
        frame: pd.DataFrame = state.forge(n=rows)
        return frame

    job.begin()
    try:
        with deadline(60 * job.minutes):
            model = arf.arf(x=table, verbose=False)
            model.forde()
            job.end(model)
    except BudgetSpentError:
        job.give_up()
        job.deliver(sample, "did not end", packages)
        return
    job.deliver(sample, "own stop", packages, {"rounds": len(model.acc)})


if __name__ == "__main__":
    main()
