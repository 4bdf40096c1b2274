"""Synthesizer: fit a table, sample synthetic rows, save and load the model."""

import hashlib
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
import torch
from sklearn.base import BaseEstimator

from scorewise.allocation import LevelDensity, table_levels
from scorewise.network import Group, Layout, Moments, TableDenoiser
from scorewise.sample import multistep
from scorewise.tabular import store
from scorewise.tabular.calibration import Calibration, calibration_rows
from scorewise.tabular.codec import Chosen, Codec, Compact
from scorewise.tabular.schema import Schema
from scorewise.tabular.store import ModelError
from scorewise.tabular.table import FrameKind, kind_of, like, to_arrow
from scorewise.tabular.training import HIGHEST, LOWEST, Training, training_steps
from scorewise.train import State, Step

WIDTH, DEPTH = 256, 3
CHUNK_ROWS = 1_024
SAMPLER_STEPS = 24
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


def prefers_bf16(device: torch.device) -> bool:
    """Whether matrix products in bfloat16 are faster than in float32.

    They are on GPUs that support them, on CPUs with AMX, and on AMD's CPUs with AVX-512-BF16.

    NOTE: AVX-512-BF16 on Intel's CPUs without AMX does not qualify: its products were slower than those of float32
    where it was tried; on AMD's they were faster.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    if device.type != "cpu":
        return False
    if torch.cpu._is_amx_tile_supported():
        return True
    facts = Path("/proc/cpuinfo")
    said = facts.read_text(encoding="utf-8", errors="replace") if facts.exists() else ""
    return "AuthenticAMD" in said and torch.cpu._is_avx512_bf16_supported()


class Synthesizer(BaseEstimator):  # type: ignore[misc]
    """Learn a table by denoising and sample synthetic rows; nothing needs tuning.

    Args:
        seed: seed of the fit; same seed, same machine, same model.
        target: the column that is to be predicted, if any; it is never taken for an identifier.
        schema: what the table is, or an edited `Schema.to_json()`; inferred if None.
        time_limit: longest time of training in minutes; None for as long as the rows that are held out and
            `training_steps` say. With a limit the result depends on the speed of the machine.
        device: "auto", "cpu", "cuda", "mps", ...
        clip: whether sampled numbers stay in the range of the table.
        protect_extremes: whether extreme values that fewer than five rows reach are hidden.
        checkpoint: folder in which an interrupted fit keeps its state, to go on from when `fit` is called again with
            the same table and parameters; removed when the fit is done. None for no checkpoints.

    Attributes:
        schema_: the schema.
        codec_: the codec.
        network_: the trained denoiser.
        calibration_: the map that makes the margins of its normal scores standard normal.
        trace_: training curves, lists; see `Training.trace`.
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
    network_: TableDenoiser
    calibration_: Calibration
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
        protect_extremes: bool = False,
        checkpoint: str | Path | None = None,
    ) -> None:
        self.seed = seed
        self.target = target
        self.schema = schema
        self.time_limit = time_limit
        self.device = device
        self.clip = clip
        self.protect_extremes = protect_extremes
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
        device = choose_device(self.device)
        table = to_arrow(frame)
        schema = self.schema
        if not isinstance(schema, Schema):
            schema = Schema.infer(table, self.target, overrides=schema)
        network, training, rows = self._prepare(table, schema, device)
        codec = training.codec
        fingerprint = self._fingerprint(rows, training.steps)
        self._resume(training, fingerprint)
        first, since, saved = training.state.step, time.monotonic(), time.monotonic()
        rate, step = 0.0, Step(first, 0.0, 0.0, 0.0)
        finished = False
        try:
            for step in training.run():
                now = time.monotonic()
                if self.checkpoint is not None and now - saved > CHECKPOINT_SECONDS:
                    self._save_checkpoint(training, fingerprint)
                    saved = now
                rate = (step.step - first) / max(now - since, 1e-9)
                expected = min(training.steps, int(step.step / max(training.share(step.step), 1e-9)))
                yield Progress(step.step, max(expected, step.step), "steps", rate, step.loss, "")
            finished = True
        finally:
            if not finished and self.checkpoint is not None and training.state.step > 0:
                self._save_checkpoint(training, fingerprint)
        network.eval()
        drawn: list[Chosen] = []
        sampled = calibration_rows(table.num_rows, training.state.step)
        for made, chosen in _sample_rows(network, codec, sampled, -1 - self.seed):
            drawn.append(chosen)
            yield Progress(step.step, step.step, "steps", rate, step.loss, f"calibrating, {made:,} rows")
        made_rows = _joined(drawn)
        self.calibration_ = Calibration.fit(made_rows.scores, codec.present(made_rows))
        self.schema_, self.codec_ = schema, codec
        self.trace_, self.stopped_ = training.trace, training.reason()
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
        steps = self.sample_steps(n, seed=seed)
        while True:
            try:
                next(steps)
            except StopIteration as stop:
                return like(stop.value, self.kind_)

    def sample_steps(self, n: int, *, seed: int = 0) -> Generator[Progress, None, pa.Table]:
        """Sample synthetic rows, as a generator that returns the table.

        Rows are made in chunks of `CHUNK_ROWS`, each with a generator of its own seeded by `(seed, chunk)`, which
        bounds the memory and makes a row depend on the seed and its position alone.

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
        rows: list[Chosen] = []
        since = time.monotonic()
        for made, chosen in _sample_rows(self.network_, self.codec_, n, seed):
            rows.append(chosen)
            yield Progress(made, n, "rows", made / max(time.monotonic() - since, 1e-9), None, "")
        whole = _joined(rows)
        return self.codec_.restore(Chosen(self.calibration_.apply(whole.scores), whole.codes), seed)

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
        facts = {
            "kind": "synthesizer",
            "versions": {name: version(name) for name in ("scorewise", "torch", "numpy", "pyarrow")},
            "settings": self._settings(),
            "frame": self.kind_,
            "layout": {"numbers": layout.numbers, "groups": [list(group) for group in layout.groups]},
            "network": {"width": self.network_.inlet.out_features, "depth": len(self.network_.blocks)},
            "codec": self.codec_.to_json(),
            "trace": self.trace_,
            "stopped": self.stopped_,
        }
        tensors = {f"network.{name}": tensor for name, tensor in self.network_.state_dict().items()}
        tensors |= {f"codec.{name}": tensor for name, tensor in self.codec_.arrays().items()}
        tensors["calibration"] = torch.from_numpy(self.calibration_.quantiles)
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
        arrays = {k.removeprefix("codec."): v for k, v in tensors.items() if k.startswith("codec.")}
        weights = {k.removeprefix("network."): v for k, v in tensors.items() if k.startswith("network.")}
        try:
            codec = Codec.from_parts(facts["codec"], arrays)
            said = facts["layout"]
            layout = Layout(said["numbers"], tuple(Group(*group) for group in said["groups"]))
            if layout != codec.layout:
                raise ValueError(f"the layouts of network and codec differ: {layout} and {codec.layout}")
            n = layout.numbers
            blank = Moments(torch.zeros(n), torch.eye(n), torch.zeros(layout.slots), codec.edges(), codec.values())
            network = TableDenoiser(layout, blank, facts["network"]["width"], facts["network"]["depth"])
            network.load_state_dict(weights)
            calibration = Calibration(tensors["calibration"].numpy())
            if calibration.quantiles.shape != Calibration.identity(n).quantiles.shape:
                raise ValueError(f"the calibration has shape {calibration.quantiles.shape}")
            synthesizer = cls(**facts["settings"], device=device)
            synthesizer.trace_, synthesizer.stopped_ = facts["trace"], facts["stopped"]
            synthesizer.kind_ = facts["frame"]
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ModelError(
                f"{path} must be a whole model, however: {type(error).__name__}: {error}. Fit the model again."
            ) from error
        synthesizer.codec_, synthesizer.schema_, synthesizer.calibration_ = codec, codec.schema, calibration
        synthesizer.network_ = network.to(choose_device(device)).eval()
        return synthesizer

    def _denoiser(self, layout: Layout, moments: Moments) -> TableDenoiser:
        return TableDenoiser(layout, moments, WIDTH, DEPTH, torch.Generator().manual_seed(self.seed))

    def _prepare(
        self, table: pa.Table, schema: Schema, device: torch.device
    ) -> tuple[TableDenoiser, Training, Compact]:
        """Encode a table; give the network and its training on the device, and the rows on the CPU."""
        codec = Codec.fit(table, schema, clip=self.clip, protect=self.protect_extremes)
        rows = codec.compact(table)
        network = self._denoiser(codec.layout, codec.moments(rows)).to(device)
        return network, self._training(network, codec, Compact(*(part.to(device) for part in rows))), rows

    def _training(self, network: TableDenoiser, codec: Codec, rows: Compact) -> Training:
        columns = len(codec.schema.numbers) + len(codec.schema.categories)
        bf16 = prefers_bf16(rows.low.device)
        state = State(network, LevelDensity(LOWEST, HIGHEST), network.hidden_matrices(), bf16=bf16)
        steps = training_steps(len(rows.low), columns)
        return Training(state, codec, rows, steps, columns, self.seed, self.time_limit, bf16=bf16)

    def _settings(self) -> dict[str, Any]:
        schema = self.schema.to_json() if isinstance(self.schema, Schema) else self.schema
        return {
            "seed": self.seed,
            "target": self.target,
            "schema": schema,
            "time_limit": self.time_limit,
            "clip": self.clip,
            "protect_extremes": self.protect_extremes,
        }

    def _fingerprint(self, rows: Compact, steps: int) -> str:
        digest = hashlib.sha256(repr((self._settings(), steps)).encode())
        for part in rows:
            digest.update(part.numpy().tobytes())
        return digest.hexdigest()

    def _resume(self, training: Training, fingerprint: str) -> None:
        if self.checkpoint is None or not Path(self.checkpoint).exists():
            return
        facts, tensors = store.read(self.checkpoint)
        if facts.get("kind") != "checkpoint" or facts.get("fingerprint") != fingerprint:
            raise ModelError(
                f"The checkpoint {self.checkpoint} must be of this table and parameters, however: it is of others. "
                "Remove it, or name another."
            )
        training.restore(tensors, facts["trace"], float(facts["seconds"]))

    def _save_checkpoint(self, training: Training, fingerprint: str) -> None:
        facts = {
            "kind": "checkpoint",
            "fingerprint": fingerprint,
            "trace": training.trace,
            "seconds": training.seconds,
        }
        store.write(str(self.checkpoint), facts, training.tensors())


def _joined(chunks: Sequence[Chosen]) -> Chosen:
    return Chosen(*(np.concatenate(parts) for parts in zip(*chunks, strict=True)))


def _sample_rows(network: TableDenoiser, codec: Codec, n: int, seed: int) -> Iterator[tuple[int, Chosen]]:
    """Sample rows chunk by chunk.

    Yields:
        The number of rows made so far and the new ones, at most `CHUNK_ROWS`.
    """
    device = next(network.parameters()).device
    bf16 = prefers_bf16(device)
    levels = table_levels(LOWEST, HIGHEST, SAMPLER_STEPS)
    for chunk, first in enumerate(range(0, n, CHUNK_ROWS)):
        generator = torch.Generator().manual_seed((seed * 1_000_003 + chunk) % 2**63)
        x = HIGHEST * torch.randn(CHUNK_ROWS, codec.layout.width, generator=generator).to(device)
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            for state in multistep(network, x, levels):
                x = state.x
        yield min(n, first + CHUNK_ROWS), codec.choose(x[: n - first].float().cpu().numpy())
