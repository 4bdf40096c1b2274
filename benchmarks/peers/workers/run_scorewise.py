"""Fit scorewise with its defaults and the budget as its time limit: `python run_scorewise.py FOLDER`.

The schedule of its training depends on the limit, so each budget of a curve is a run of its own.
"""

import pandas as pd
from protocol import Job

from scorewise.tabular.synthesizer import Synthesizer, training_steps


def main() -> None:
    """Fit, sample and write."""
    job = Job.from_command_line()
    synthesizer = Synthesizer(seed=job.seed, target=job.target, time_limit=job.minutes)
    steps = 0
    job.begin()
    for progress in synthesizer.fit_steps(job.train):
        steps = progress.done
    job.end(synthesizer)

    def sample(state: Synthesizer, rows: int) -> pd.DataFrame:
        frame: pd.DataFrame = state.sample(rows, seed=job.seed)
        return frame

    schema = synthesizer.schema_
    most = training_steps(len(job.train), len(schema.numbers) + len(schema.categories))
    detail = {"steps": steps, "steps by default": most}
    ended = "budget" if "the time limit" in synthesizer.stopped_ else "own stop"
    job.deliver(sample, ended, ("scorewise", "torch", "numpy", "pandas"), detail)


if __name__ == "__main__":
    main()
