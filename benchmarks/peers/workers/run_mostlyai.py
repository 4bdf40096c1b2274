"""Fit TabularARGN of mostlyai-engine with its defaults: `python run_mostlyai.py FOLDER [open]`.

The calls are those of `TabularARGN.fit`, made one by one so that its own callback after each epoch can be used: there a
copy is kept of the best weights so far, which are what a training that ended there would give. The budget is its own
`max_training_time`, in minutes by the wall clock. `open` turns its protection of rare and extreme values off.
"""

import sys

import pandas as pd
from mostlyai import engine
from protocol import Job


def main() -> None:
    """Fit, sample and write."""
    job, protect = Job.from_command_line(), "open" not in sys.argv[2:]
    workspace = job.folder / "workspace"
    weights = workspace / "ModelStore" / "model-data" / "model-weights.pt"
    kinds = dict.fromkeys(job.categories, "TABULAR_CATEGORICAL") | dict.fromkeys(job.numbers, "TABULAR_NUMERIC_AUTO")
    engine.set_random_state(job.seed)
    job.begin()
    engine.split(tgt_data=job.train, tgt_encoding_types=kinds, model_type="TABULAR", workspace_dir=workspace)
    engine.analyze(value_protection=protect, workspace_dir=workspace)
    engine.encode(workspace_dir=workspace)
    job.begin_training()
    engine.train(
        max_training_time=job.minutes,
        workspace_dir=workspace,
        upload_model_data_callback=lambda: job.observe(weights.read_bytes),
    )
    minutes = job.trained().wall / 60
    job.end(weights.read_bytes())

    def sample(state: bytes, rows: int) -> pd.DataFrame:
        weights.write_bytes(state)
        engine.generate(sample_size=rows, workspace_dir=workspace)
        return pd.read_parquet(workspace / "SyntheticData")

    progress = pd.read_csv(next((workspace / "ModelStore").rglob("progress-messages.csv")))
    detail = {"epochs": float(progress["epoch"].max()), "epochs by default": 100, "value protection": protect}
    packages = ("mostlyai-engine", "torch", "numpy", "pandas")
    job.deliver(sample, "budget" if minutes >= job.minutes else "own stop", packages, detail)


if __name__ == "__main__":
    main()
