"""Fit a synthesizer of SDV with its defaults: `python run_sdv.py FOLDER gaussian_copula|ctgan|tvae`.

The two networks run their own 300 epochs in their own loop. The only thing replaced is the progress bar around that
loop, which looks at the clock between epochs: it keeps a copy of the generating network when a budget is reached, and
ends the loop when the last one is. No setting is changed, and no random number drawn.
"""

import copy
import importlib
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from protocol import Job
from sdv.metadata import Metadata
from sdv.single_table import CTGANSynthesizer, GaussianCopulaSynthesizer, TVAESynthesizer

SYNTHESIZERS = {"gaussian_copula": GaussianCopulaSynthesizer, "ctgan": CTGANSynthesizer, "tvae": TVAESynthesizer}
NETWORKS = {"ctgan": "_generator", "tvae": "decoder"}


def described(job: Job) -> Metadata:
    """The metadata that SDV detects, with the kinds of the job and without a key."""
    metadata = Metadata.detect_from_dataframes({"table": job.train}, infer_keys=None)
    for names, sdtype in ((job.categories, "categorical"), (job.numbers, "numerical")):
        metadata.update_columns(names, table_name="table", sdtype=sdtype)
    return metadata


def main() -> None:
    """Fit, sample and write."""
    job, name = Job.from_command_line(), sys.argv[2]
    np.random.seed(job.seed)
    torch.manual_seed(job.seed)
    synthesizer = SYNTHESIZERS[name](described(job))
    epochs = 0

    def network() -> torch.nn.Module:
        found: torch.nn.Module = getattr(synthesizer._model, NETWORKS[name])
        return found

    def timed(loop: range, **_: Any) -> Iterator[int]:
        nonlocal epochs
        job.begin_training()
        for epoch in loop:
            yield epoch
            epochs = epoch + 1
            if job.over():
                return
            job.observe(lambda: copy.deepcopy(network().state_dict()))

    if name in NETWORKS:
        importlib.import_module(f"ctgan.synthesizers.{name}").tqdm = timed
    job.begin()
    synthesizer.fit({"table": job.train})
    job.end(copy.deepcopy(network().state_dict()) if name in NETWORKS else None)
    whole = name not in NETWORKS or epochs == synthesizer.epochs

    def sample(state: Any, rows: int) -> pd.DataFrame:
        if state is not None:
            network().load_state_dict(state)
        synthesizer.reset_sampling()
        frame: pd.DataFrame = synthesizer.sample(rows)["table"]
        return frame

    detail = {"epochs": epochs, "epochs by default": synthesizer.epochs} if name in NETWORKS else {}
    packages = ("sdv", "ctgan", "rdt", "copulas", "torch", "numpy", "pandas")
    job.deliver(sample, "own stop" if whole else "budget", packages, detail)


if __name__ == "__main__":
    main()
