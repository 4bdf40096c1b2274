"""Synthesizer: fit a table, sample synthetic rows, save and load the model."""

import hashlib
import time
from collections.abc import Generator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
import torch
from sklearn.base import BaseEstimator

from scorewise.allocation import LevelDensity
from scorewise.experts import Experts
from scorewise.network import Group, Layout, Moments, TableDenoiser
from scorewise.principal import LEVELS, Principal
from scorewise.relay import relayed, returned
from scorewise.tabular import store
from scorewise.tabular.calendar import with_parts
from scorewise.tabular.calibration import Calibration
from scorewise.tabular.codec import Codec, Compact
from scorewise.tabular.correction import Correction, correct
from scorewise.tabular.generation import prefers_bf16
from scorewise.tabular.lengths import Lengths, halvings
from scorewise.tabular.protection import protect
from scorewise.tabular.rejection import Rejection
from scorewise.tabular.schema import Schema
from scorewise.tabular.stages import Stages
from scorewise.tabular.store import ModelError
from scorewise.tabular.table import FrameKind, kind_of, like, to_arrow
from scorewise.tabular.training import LOWEST, Training, training_steps, wide_steps
from scorewise.tabular.unseen import Unseen
from scorewise.train import State, Step

WIDTH, DEPTH = 256, 3
CHECKPOINT_SECONDS = 60.0


class Progress(NamedTuple):
    """How far a fit or a sampling is.

    Attributes:
        done: units done.
        total: units in all, as far as is known now.
        unit: "steps" or "rows".
        rate: units per second.
        loss: running mean of the loss in nats per column; None while sampling.
        message: what to tell the user, or "".
    """

    done: int
    total: int
    unit: str
    rate: float
    loss: float | None
    message: str


def choose_device(device: str) -> torch.device:
    """Turn "auto" into the fastest device there is: CUDA, then MPS, then the CPU.

    Args:
        device: "auto" or the name of a torch device.

    Returns:
        The device.

    Raises:
        ValueError: if there is no such device.
    """
    if device == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device(name)
    try:
        chosen = torch.device(device)
        torch.zeros(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device must be auto, cpu, cuda, mps or another device of torch that is here, however: {device=}: "
            f"{reason}. Use auto."
        ) from error
    return chosen


class Synthesizer(BaseEstimator):  # type: ignore[misc]
    """Learn a table by denoising and sample synthetic rows; nothing needs tuning.

    Args:
        seed: seed of the fit, 0 or more; same seed, same machine, same model.
        target: the column that is to be predicted, if any; it is never taken for an identifier.
        schema: what the table is, or an edited `Schema.to_json()`; inferred if None.
        time_limit: longest time of training in minutes; None for as long as the rows that are held out and
            `training_steps` say. With a limit the result depends on the speed of the machine.
        device: "auto", "cpu", "cuda", "mps", ...
        clip: whether sampled numbers stay in the range of the table.
        protect_rare: whether levels of categories that fewer than five rows have, and extreme numbers that fewer than
            five rows reach, are hidden before anything is learned (`scorewise.tabular.protection.protect`); the model
            and its rows then have none of them.
        checkpoint: folder in which an interrupted fit keeps its state, to go on from when `fit` is called again with
            the same table and parameters; removed when the fit is done. None for no checkpoints.

    Attributes:
        schema_: the schema.
        codec_: the codec.
        network_: the trained denoiser, or two of them, one for small noise.
        calibration_: the map that makes the margins of its normal scores standard normal.
        rejection_: which of the sampled rows are kept; None for all.
        unseen_: what no row of the table has; sampled rows that have it are not kept.
        trace_: training curves, lists; see `Training.trace` and `Stages.trace`.
        stopped_: why the training ended where it did, in sentences.

    Examples:
        >>> import pandas as pd
        >>> ages = [20, 31, 42, 20, 31, 55, 31, 42] * 30
        >>> table = pd.DataFrame({"age": ages, "member": [a > 30 for a in ages]})
        >>> fake = Synthesizer(seed=0, time_limit=0.01).fit(table).sample(5, seed=1)
        >>> fake.shape, list(fake.dtypes) == list(table.dtypes)
        ((5, 2), True)
    """

    schema_: Schema
    codec_: Codec
    network_: TableDenoiser | Experts
    calibration_: Calibration
    rejection_: Rejection | None
    unseen_: Unseen
    trace_: dict[str, list[float]]
    stopped_: str
    kind_: FrameKind

    def __init__(
        self,
        *,
        seed: int = 0,
        target: str | None = None,
        schema: Schema | Mapping[str, Any] | None = None,
        time_limit: float | None = None,
        device: str = "auto",
        clip: bool = True,
        protect_rare: bool = False,
        checkpoint: str | Path | None = None,
    ) -> None:
        self.seed = seed
        self.target = target
        self.schema = schema
        self.time_limit = time_limit
        self.device = device
        self.clip = clip
        self.protect_rare = protect_rare
        self.checkpoint = checkpoint

    def fit(self, frame: Any) -> Self:
        """Fit to a table.

        Args:
            frame: the table (pandas, polars or pyarrow); it is not changed.

        Returns:
            Itself.

        Raises:
            TableError: if the table cannot be used; nothing has been trained then.
            ValueError: if a parameter is out of its range.
            DivergedError: if the loss is not finite.
            ModelError: if `checkpoint` holds the state of another table or of other parameters.
        """
        for _ in self.fit_steps(frame):
            pass
        return self

    def fit_steps(self, frame: Any) -> Generator[Progress, None, None]:
        """Fit to a table, as a generator: the caller may show progress, and may stop between two items.

        Stopping (closing the generator, or an exception such as Ctrl-C) writes the checkpoint, if one was asked for.

        Args:
            frame: the table (pandas, polars or pyarrow).

        Yields:
            Progress, after each step.

        Raises:
            TableError: if the table cannot be used.
            ValueError: if a parameter is out of its range.
            DivergedError: if the loss is not finite.
            ModelError: if `checkpoint` holds the state of another table or of other parameters.
        """
        if self.time_limit is not None and not self.time_limit > 0:
            raise ValueError(f"time_limit must be more than 0 minutes, however: time_limit={self.time_limit}.")
        if self.seed < 0:
            raise ValueError(f"seed must be 0 or more, however: seed={self.seed}.")
        device = choose_device(self.device)
        table, schema = self._described(to_arrow(frame))
        _, training, rows = self._prepare(table, schema, device)
        lengths, codec = self._lengths(training, table.num_rows), training.codec
        stages, fingerprint = Stages(lengths), self._fingerprint(rows, training.steps, lengths.times)
        self._resume(stages, fingerprint)
        first, since, saved = stages.step, time.monotonic(), time.monotonic()
        rate, step = 0.0, Step(first, 0.0, 0.0, 0.0)
        finished = False
        try:
            for step in stages.run():
                now = time.monotonic()
                if self.checkpoint is not None and now - saved > CHECKPOINT_SECONDS:
                    self._save_checkpoint(stages, fingerprint)
                    saved = now
                rate = (step.step - first) / max(now - since, 1e-9)
                yield Progress(step.step, stages.expected, "steps", rate, step.loss, "")
            finished = True
        finally:
            if not finished and self.checkpoint is not None and stages.step > 0:
                self._save_checkpoint(stages, fingerprint)
        network = stages.network.eval()
        self.calibration_, self.rejection_, self.unseen_ = yield from relayed(
            correct(network, codec, table, lengths.step, self.seed),
            lambda made: Progress(step.step, step.step, "steps", rate, step.loss, f"calibrating, {made:,} rows"),
        )
        self.schema_, self.codec_ = schema, codec
        self.trace_, self.stopped_ = stages.trace, stages.reason()
        self.network_ = network
        self.kind_ = kind_of(frame)
        if self.checkpoint is not None:
            store.remove(self.checkpoint)

    def sample(self, n: int, *, seed: int = 0) -> Any:
        """Sample synthetic rows.

        The first rows of a larger sample are the rows of a smaller one with the same seed.

        Args:
            n: number of rows.
            seed: seed of the sample.

        Returns:
            The table, of the kind of frame that the model was fitted to.

        Raises:
            ValueError: if n is less than 1.
            sklearn.exceptions.NotFittedError: if there is no model yet.
        """
        return like(returned(self.sample_steps(n, seed=seed)), self.kind_)

    def sample_steps(self, n: int, *, seed: int = 0) -> Generator[Progress, None, pa.Table]:
        """Sample synthetic rows, as a generator that returns the table.

        Rows are made in chunks, which bounds the memory, from the rows of one sequence of noise in turn, so that a row
        depends on the seed and its position alone. The sequence is evenly spread (`NormalSequence`): each row is
        distributed as it would be from independent noise, and shares and quantiles of a whole sample vary less. Where
        the fit found which rows not to keep (`Unseen`, `Rejection`), more are made, and these are left out.

        Args:
            n: number of rows.
            seed: seed of the sample.

        Yields:
            Progress, after each chunk.

        Returns:
            The table.

        Raises:
            ValueError: if n is less than 1.
            sklearn.exceptions.NotFittedError: if there is no model yet.
        """
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        if n < 1:
            raise ValueError(f"n must be at least 1, however: n={n}. Ask for one row or more.")
        since = time.monotonic()
        correction = Correction(self.calibration_, self.rejection_, self.unseen_)
        sampling = correction.sample(self.network_, self.codec_, n, seed)
        table: pa.Table = yield from relayed(
            sampling, lambda made: Progress(made, n, "rows", made / max(time.monotonic() - since, 1e-9), None, "")
        )
        return table

    def save(self, path: str | Path) -> None:
        """Write the model to a folder of safetensors and JSON; the folder holds no row of the table.

        Args:
            path: the folder; a model that is there is replaced, and stays whole if writing fails.

        Raises:
            FileExistsError: if the path is something else than a model.
            OSError: if it cannot be written.
            sklearn.exceptions.NotFittedError: if there is no model yet.
        """
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        layout = self.codec_.layout
        one = self.network_.coarse if isinstance(self.network_, Experts) else self.network_
        facts = {
            "kind": "synthesizer",
            "versions": {name: version(name) for name in ("scorewise", "torch", "numpy", "pyarrow")},
            "settings": self._settings() | ({"schema": self.schema_.to_json()} if self.protect_rare else {}),
            "frame": self.kind_,
            "layout": {"numbers": layout.numbers, "groups": [list(group) for group in layout.groups]},
            "network": {
                "width": one.inlet.out_features,
                "depth": len(one.blocks),
                "border": self.network_.border if isinstance(self.network_, Experts) else None,
            },
            "codec": self.codec_.to_json(),
            "calibration": self.calibration_.to_json(),
            "rejection": None if self.rejection_ is None else self.rejection_.to_json(),
            "unseen": self.unseen_.to_json(),
            "trace": self.trace_,
            "stopped": self.stopped_,
        }
        tensors = store.prefixed("network.", self.network_.state_dict())
        tensors |= store.prefixed("codec.", self.codec_.arrays())
        tensors |= store.prefixed("calibration.", self.calibration_.arrays())
        tensors |= store.prefixed("unseen.", self.unseen_.arrays())
        if self.rejection_ is not None:
            tensors |= store.prefixed("rejection.", self.rejection_.arrays())
        store.write(path, facts, tensors)

    @classmethod
    def load(cls, path: str | Path, device: str = "auto") -> Self:
        """Read a model that `save` wrote; no code is run from it.

        Args:
            path: the folder.
            device: where to put the network.

        Returns:
            The fitted synthesizer.

        Raises:
            ModelError: if it is no such folder, is damaged or of another version.
            ValueError: if there is no such device.
        """
        facts, tensors = store.read(path)
        if facts.get("kind") != "synthesizer":
            raise ModelError(
                f"{path} must be a saved synthesizer, however: it is a {facts.get('kind')}. "
                "A checkpoint is resumed by fitting again, not loaded."
            )
        arrays, weights = (store.part(tensors, prefix) for prefix in ("codec.", "network."))
        try:
            codec = Codec.from_parts(facts["codec"], arrays)
            said = facts["layout"]
            layout = Layout(said["numbers"], tuple(Group(*group) for group in said["groups"]))
            if layout != codec.layout:
                raise ValueError(f"the layouts of network and codec differ: {layout} and {codec.layout}")
            n = layout.numbers
            known = codec.edges(), codec.values(), *codec.signed_sums()
            size, border = (facts["network"]["width"], facts["network"]["depth"]), facts["network"]["border"]

            components = weights["rows.variance" if border is None else "coarse.rows.variance"]

            def blank() -> TableDenoiser:  # with tensors of its own
                wide = torch.zeros(layout.width), torch.zeros(layout.width, len(components))
                rows = Principal(*wide, torch.zeros(len(components)), torch.zeros(()), torch.ones(()))
                moments = Moments(torch.zeros(n), torch.eye(n), torch.zeros(layout.slots), *known, rows)
                return TableDenoiser(layout, moments, *size)

            whole = blank() if border is None else Experts(blank(), blank(), border)
            whole.load_state_dict(weights)
            if not LEVELS[0] <= (level := float(whole.rows.level)) <= LEVELS[-1]:
                raise ValueError(f"no rows are sampled from a level of {level:g}")
            parts = (whole.coarse, whole.fine) if isinstance(whole, Experts) else (whole,)
            if not all(one.differences.sound for one in parts):
                raise ValueError("the network is shown differences of numbers that are not there")
            maps = store.part(tensors, "calibration.")
            calibration = Calibration.from_parts(facts["calibration"], maps, codec)
            rejection = None
            if facts["rejection"] is not None:
                columns = with_parts(codec.schema, codec.schema.cells(codec.decode(np.zeros((1, layout.width)))))
                rejection = Rejection.from_parts(facts["rejection"], store.part(tensors, "rejection."), columns)
            determined = codec.structure.determined
            unseen = Unseen.from_parts(
                facts["unseen"],
                store.part(tensors, "unseen."),
                codec.schema,
                determined.formulas,
                determined.joint,
            )
            synthesizer = cls(**facts["settings"], device=device)
            synthesizer.trace_, synthesizer.stopped_ = facts["trace"], facts["stopped"]
            synthesizer.kind_ = facts["frame"]
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ModelError(
                f"{path} must be a whole model, however: {type(error).__name__}: {error}. Fit the model again."
            ) from error
        synthesizer.codec_, synthesizer.schema_, synthesizer.calibration_ = codec, codec.schema, calibration
        synthesizer.rejection_, synthesizer.unseen_ = rejection, unseen
        synthesizer.network_ = whole.to(choose_device(device)).eval()
        return synthesizer

    def _denoiser(self, layout: Layout, moments: Moments) -> TableDenoiser:
        return TableDenoiser(layout, moments, WIDTH, DEPTH, torch.Generator().manual_seed(self.seed))

    def _described(self, table: pa.Table) -> tuple[pa.Table, Schema]:
        """Give the table that is to be learned, without what is rare where that is to be hidden, and what it is."""
        given: Mapping[str, Any] | None
        if isinstance(self.schema, Schema):
            schema, given = self.schema, self.schema.to_json()
        else:
            schema, given = Schema.infer(table, self.target, overrides=self.schema), self.schema
        if not self.protect_rare:
            return table, schema
        table = protect(table, schema, self.seed)
        return table, Schema.infer(table, schema.target, overrides=given)

    def _prepare(
        self, table: pa.Table, schema: Schema, device: torch.device
    ) -> tuple[TableDenoiser, Training, Compact]:
        """Encode a table; give the network and its training on the device, and the rows on the CPU."""
        codec = Codec.fit(table, schema, clip=self.clip)
        rows = codec.compact(table)
        network = self._denoiser(codec.layout, codec.moments(rows)).to(device)
        return network, self._training(network, codec, Compact(*(part.to(device) for part in rows))), rows

    def _training(self, network: TableDenoiser, codec: Codec, rows: Compact) -> Training:
        columns = len(codec.schema.numbers) + len(codec.schema.categories)
        bf16 = prefers_bf16(rows.low.device)
        state = State(network, LevelDensity(LOWEST, float(network.rows.level)), network.hidden_matrices(), bf16=bf16)
        steps = training_steps(len(rows.low), columns)
        return Training(state, codec, rows, steps, columns, self.seed, self.time_limit, bf16=bf16)

    def _lengths(self, training: Training, rows: int) -> Lengths:
        return Lengths(training, halvings(rows), wide_steps(rows, training.columns))

    def _settings(self) -> dict[str, Any]:
        schema = self.schema.to_json() if isinstance(self.schema, Schema) else self.schema
        return {
            "seed": self.seed,
            "target": self.target,
            "schema": schema,
            "time_limit": self.time_limit,
            "clip": self.clip,
            "protect_rare": self.protect_rare,
        }

    def _fingerprint(self, rows: Compact, *steps: int) -> str:
        digest = hashlib.sha256(repr((self._settings(), steps)).encode())
        for part in rows:
            digest.update(part.numpy().tobytes())
        return digest.hexdigest()

    def _resume(self, stages: Stages, fingerprint: str) -> None:
        if self.checkpoint is None or not Path(self.checkpoint).exists():
            return
        facts, tensors = store.read(self.checkpoint)
        if facts.get("kind") != "checkpoint" or facts.get("fingerprint") != fingerprint:
            raise ModelError(
                f"The checkpoint {self.checkpoint} must be of this table and parameters, however: it is of others. "
                "Remove it, or name another."
            )
        stages.restore(tensors, facts["stages"])

    def _save_checkpoint(self, stages: Stages, fingerprint: str) -> None:
        facts = {
            "kind": "checkpoint",
            "fingerprint": fingerprint,
            "stages": stages.facts(),
        }
        store.write(str(self.checkpoint), facts, stages.tensors())
