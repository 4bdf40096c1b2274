"""The main job on small real work: fit, sample, save, load, stop and go on."""

import copy
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from scorewise.experts import Experts
from scorewise.principal import LEVELS
from scorewise.tabular import store
from scorewise.tabular.calibration import Calibration
from scorewise.tabular.generation import CHUNK_ROWS
from scorewise.tabular.schema import Schema
from scorewise.tabular.store import ModelError
from scorewise.tabular.synthesizer import Synthesizer, choose_device
from scorewise.tabular.table import TableError, to_arrow
from scorewise.tabular.training import training_steps

SHORT = 0.02  # minutes


def _table(rows: int = 600) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    group = rng.integers(0, 3, rows)
    income = np.rint(rng.lognormal(8 + group, 0.3))
    spent = np.where(rng.random(rows) < 0.3, income, np.rint(income * rng.uniform(0.2, 0.9, rows)))
    return pd.DataFrame(
        {
            "group": pd.Categorical(np.array(["low", "mid", "high"])[group]),
            "income": income.astype(np.int64),
            "spent": spent.astype(np.int64),
            "score": np.where(rng.random(rows) < 0.1 * group, np.nan, rng.normal(group, 1).round(2)),
            "since": pd.Timestamp("2020-01-01", tz="UTC") + pd.to_timedelta(rng.integers(0, 900, rows), "D"),
        }
    )


@pytest.fixture(scope="module", name="fitted")
def _fitted() -> Synthesizer:
    with pytest.MonkeyPatch.context() as patch:  # steps, not minutes: a busy machine takes as many
        patch.setattr("scorewise.tabular.synthesizer.training_steps", lambda rows, columns: 100)
        return Synthesizer(seed=0).fit(_table())


def test_a_short_fit_learns_the_table(fitted: Synthesizer) -> None:
    real, fake = _table(), fitted.sample(2_000, seed=1)
    assert list(fake.dtypes) == list(real.dtypes)
    share = pd.concat([real["group"].value_counts(normalize=True), fake["group"].value_counts(normalize=True)], axis=1)
    assert (share.iloc[:, 0] - share.iloc[:, 1]).abs().max() < 0.1
    means = [frame.groupby("group", observed=True)["income"].median() for frame in (real, fake)]
    assert (np.log(means[0]) - np.log(means[1])).abs().max() < 0.4  # the groups are a unit apart
    assert 0.15 < (fake["spent"] == fake["income"]).mean() < 0.45
    gone = fake["score"].isna().groupby(fake["group"], observed=True).mean()
    assert gone["low"] < gone["high"]  # missing depends on the group, as in the table


def test_same_seed_same_table_and_the_start_of_a_longer_one(fitted: Synthesizer) -> None:
    first = fitted.sample(50, seed=3)
    assert first.equals(fitted.sample(50, seed=3))
    assert not first.equals(fitted.sample(50, seed=4))
    assert fitted.sample(CHUNK_ROWS + 10, seed=3).iloc[:50].equals(first)


@pytest.fixture(name="thirty_steps")
def _thirty_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scorewise.tabular.synthesizer.training_steps", lambda rows, columns: 30)


@pytest.fixture(name="few_samples")
def _few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """A correction from fewer rows, in smaller chunks: where it need not be good, it need not take most of a fit."""
    monkeypatch.setattr("scorewise.tabular.calibration.FEWEST_ROWS", 512)
    monkeypatch.setattr("scorewise.tabular.correction.PILOT_ROWS", 256)
    monkeypatch.setattr("scorewise.tabular.generation.CHUNK_ROWS", 256)


@pytest.mark.usefixtures("thirty_steps", "few_samples")
def test_same_seed_same_model_and_another_seed_another() -> None:
    first, twin, other = (Synthesizer(seed=seed).fit(_table(100)) for seed in (5, 5, 6))
    pairs = list(zip(first.network_.parameters(), twin.network_.parameters(), strict=True))
    assert all(torch.equal(one, two) for one, two in pairs)
    assert first.sample(20).equals(twin.sample(20))
    assert not first.sample(20).equals(other.sample(20))


def test_a_saved_model_gives_the_same_rows(fitted: Synthesizer, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model")
    loaded = Synthesizer.load(tmp_path / "model")
    assert loaded.sample(40, seed=2).equals(fitted.sample(40, seed=2))
    assert (loaded.trace_, loaded.stopped_) == (fitted.trace_, fitted.stopped_)
    assert sorted(path.suffix for path in (tmp_path / "model").iterdir()) == [".json", ".safetensors"]


@pytest.mark.usefixtures("few_samples")
def test_a_short_table_is_trained_no_longer_than_new_rows_gain() -> None:
    rng = np.random.default_rng(0)
    unrelated = pd.DataFrame(rng.normal(size=(200, 3)), columns=list("abc"))
    fitted = Synthesizer(seed=0, device="cpu").fit(unrelated)
    assert re.search(r"A training of \d+ steps was no better on the rows held out\.", fitted.stopped_)
    assert fitted.trace_["check"][-1] <= 100 < training_steps(200, 3)


@pytest.mark.usefixtures("few_samples")
def test_a_saved_model_of_two_stages_gives_the_same_rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("scorewise.tabular.synthesizer.training_steps", lambda rows, columns: 60)
    rng = np.random.default_rng(0)
    a = rng.normal(size=400)
    table = pd.DataFrame({"a": a, "b": a + np.where(rng.random(400) < 0.5, 0.01, 0.03), "k": rng.choice([*"xy"], 400)})
    both = Synthesizer(seed=0).fit(table)
    assert isinstance(both.network_, Experts)
    both.save(tmp_path / "model")
    loaded = Synthesizer.load(tmp_path / "model")
    assert isinstance(loaded.network_, Experts)
    assert loaded.sample(40, seed=2).equals(both.sample(40, seed=2))
    assert (loaded.trace_, loaded.stopped_) == (both.trace_, both.stopped_)
    loaded.save(tmp_path / "again")
    assert Synthesizer.load(tmp_path / "again").sample(40, seed=2).equals(both.sample(40, seed=2))
    loaded.network_.fine = loaded.network_.coarse
    assert not loaded.sample(40, seed=2).equals(both.sample(40, seed=2))  # the second one matters


def test_a_model_that_chooses_among_its_rows_is_saved_loaded_and_saved_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("scorewise.tabular.synthesizer.training_steps", lambda rows, columns: 30)
    monkeypatch.setattr("scorewise.tabular.calibration.ROWS_A_STEP", 70)  # so that the training is not too brief
    fitted = Synthesizer(seed=0, target="group").fit(_table(2_000))
    assert fitted.rejection_ is not None
    assert len(fitted.rejection_.trees.leaves) <= 60  # no more rounds than steps
    fitted.save(tmp_path / "model")
    once = Synthesizer.load(tmp_path / "model")
    once.save(tmp_path / "again")
    twice = Synthesizer.load(tmp_path / "again")
    assert twice.sample(200, seed=2).equals(fitted.sample(200, seed=2))
    fitted.rejection_ = None
    assert not once.sample(200, seed=2).equals(fitted.sample(200, seed=2))
    facts = json.loads((tmp_path / "model" / "model.json").read_text())
    facts["rejection"]["raking"]["numbers"].pop("income")
    (tmp_path / "model" / "model.json").write_text(json.dumps(facts))
    with pytest.raises(ModelError, match="must be a whole model"):
        Synthesizer.load(tmp_path / "model")


def test_samples_are_calibrated(fitted: Synthesizer) -> None:
    twin = copy.copy(fitted)
    twin.calibration_ = Calibration(fitted.calibration_.quantiles - 2.0)  # takes every score for two higher
    assert (twin.sample(300)["income"] > fitted.sample(300)["income"]).mean() > 0.9


def test_the_trace_falls_and_is_per_column(fitted: Synthesizer) -> None:
    trace = fitted.trace_
    assert len({len(trace[key]) for key in ("step", "loss", "numbers", "categories", "seconds")}) == 1
    assert len({len(trace[key]) for key in ("check", "new rows", "new rows se")}) == 1
    assert trace["new rows"][0] > min(trace["new rows"])
    assert trace["check"] == sorted(set(trace["check"]))
    assert len(trace["step"]) > 5
    assert np.mean(trace["loss"][-3:]) < trace["loss"][0]
    assert trace["seconds"] == sorted(trace["seconds"])


def test_a_damaged_model_is_refused(fitted: Synthesizer, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model")
    facts = json.loads((tmp_path / "model" / "model.json").read_text())
    del facts["codec"]["numbers"]["income"]
    (tmp_path / "model" / "model.json").write_text(json.dumps(facts))
    with pytest.raises(ModelError, match="must be a whole model"):
        Synthesizer.load(tmp_path / "model")


@pytest.mark.parametrize("part", ["variance", "basis"])
def test_a_model_without_the_moments_of_its_rows_is_refused(fitted: Synthesizer, part: str, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model")
    facts, tensors = store.read(tmp_path / "model")
    kept = {name: tensor for name, tensor in tensors.items() if not name.endswith(f"rows.{part}")}
    store.write(tmp_path / "model", facts, kept)
    with pytest.raises(ModelError, match=rf"(?s)must be a whole model, however: .*rows\.{part}"):
        Synthesizer.load(tmp_path / "model")


def test_levels_are_learned_up_to_where_sampling_starts() -> None:
    rng = np.random.default_rng(0)
    gone = rng.random(2_000) < 0.1
    answers = {f"q{i}": np.where(gone, None, rng.choice(["no", "yes"], 2_000)) for i in range(40)}
    for frame, higher in ((_table(2_000), False), (pd.DataFrame(answers), True)):
        table = to_arrow(frame)
        network, training, _ = Synthesizer()._prepare(table, Schema.infer(table), torch.device("cpu"))
        assert training.state.density.high == float(network.rows.level)
        assert (training.state.density.high > LEVELS[0]) is higher


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        ("rows.level", 0.0, "no rows are sampled from a level of"),
        ("rows.level", 1e9, "no rows are sampled from a level of"),
        ("rows.level", math.nan, "no rows are sampled from a level of"),
        ("differences.pairs", 99, "differences of numbers that are not there"),
        ("differences.pairs", -1, "differences of numbers that are not there"),
    ],
)
def test_a_model_of_impossible_values_is_refused(
    fitted: Synthesizer, part: str, value: float, words: str, tmp_path: Path
) -> None:
    fitted.save(tmp_path / "model")
    facts, tensors = store.read(tmp_path / "model")
    changed = {name: torch.full_like(one, value) if name.endswith(part) else one for name, one in tensors.items()}
    assert any(not torch.equal(one, tensors[name]) for name, one in changed.items())
    store.write(tmp_path / "model", facts, changed)
    with pytest.raises(ModelError, match=words):
        Synthesizer.load(tmp_path / "model")


@pytest.mark.usefixtures("few_samples")
@pytest.mark.parametrize("given", [lambda _: None, Schema.infer, lambda table: Schema.infer(table).to_json()])
def test_a_model_has_nothing_of_what_is_rare_where_that_is_hidden(
    given: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("scorewise.tabular.synthesizer.training_steps", lambda rows, columns: 8)
    frame = _table(200)
    frame["group"] = frame["group"].cat.add_categories("secret")
    frame.loc[:3, "group"] = "secret"
    frame.loc[7, ["income", "spent"]] = 987_654_321
    schema = given(to_arrow(frame))
    open_ = Synthesizer(seed=1, schema=schema).fit(frame)
    hidden = Synthesizer(seed=1, schema=schema, protect_rare=True).fit(frame)
    found = []
    for name, one in {"open": open_, "hidden": hidden}.items():
        one.save(tmp_path / name)
        said = (tmp_path / name / "model.json").read_text()
        found.append(("secret" in said, "987654321" in said))
    assert found == [(True, True), (False, False)]
    ends = np.sort(frame["income"])[[4, -5]]
    fake = Synthesizer.load(tmp_path / "hidden").sample(500)
    assert list(fake["group"].cat.categories) == ["high", "low", "mid"]
    assert ends[0] <= fake["income"].min() < fake["income"].max() <= ends[1]
    assert Synthesizer.load(tmp_path / "hidden").protect_rare


@pytest.mark.usefixtures("thirty_steps", "few_samples")
def test_an_interrupted_fit_goes_on_to_the_same_result(tmp_path: Path) -> None:
    table = _table(200)
    whole = Synthesizer(seed=1).fit(table)
    stopped = Synthesizer(seed=1, checkpoint=tmp_path / "part")
    steps = stopped.fit_steps(table)
    for progress in steps:
        if progress.done == 13:
            steps.close()
            break
    with pytest.raises(NotFittedError):
        stopped.sample(1)
    with pytest.raises(ModelError, match="it is a checkpoint"):
        Synthesizer.load(tmp_path / "part")
    resumed = Synthesizer(seed=1, checkpoint=tmp_path / "part")
    first = next(iter(resumed.fit_steps(table)))
    assert first.done == 14
    resumed = Synthesizer(seed=1, checkpoint=tmp_path / "part").fit(table)
    assert not (tmp_path / "part").exists()
    for one, other in zip(whole.network_.parameters(), resumed.network_.parameters(), strict=True):
        assert torch.equal(one, other)
    assert whole.sample(20).equals(resumed.sample(20))


def test_a_checkpoint_of_another_table_is_refused(tmp_path: Path) -> None:
    steps = Synthesizer(checkpoint=tmp_path / "part").fit_steps(_table(100))
    next(steps)
    steps.close()
    with pytest.raises(ModelError, match="must be of this table and parameters, however: it is of others"):
        Synthesizer(checkpoint=tmp_path / "part").fit(_table(101))


@pytest.mark.usefixtures("few_samples")
def test_frames_of_other_libraries_come_back_as_they_went_in() -> None:
    frame = pl.DataFrame({"a": [1, 2, 3, 4] * 30, "b": ["x", "y", None] * 40})
    fake = Synthesizer(time_limit=SHORT).fit(frame).sample(10)
    assert isinstance(fake, pl.DataFrame)
    assert fake.schema == frame.schema
    table = frame.to_arrow()
    assert Synthesizer(time_limit=SHORT).fit(table).sample(3).schema == table.schema


@pytest.mark.usefixtures("few_samples")
def test_dates_that_are_text_come_back_as_text_of_the_same_form(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    days = pd.Timestamp("2013-01-01") + pd.to_timedelta(rng.integers(0, 365, 300), "D")
    frame = pd.DataFrame(
        {
            "day": [f"{day.month}/{day.day}/{day.year}" for day in days],
            "seen": pd.Series(days.strftime("%Y-%m-%dT05:00:00Z"), dtype=object).mask(rng.random(300) < 0.2, None),
            "hot": np.where(rng.random(300) < 0.1, rng.random(300) < 0.5, days.month > 6),
        }
    )
    fitted = Synthesizer(time_limit=0.1).fit(frame)
    assert [fitted.schema_.column(name).kind for name in ("day", "seen")] == ["number", "number"]
    fake = fitted.sample(200)
    assert list(fake.dtypes) == list(frame.dtypes)
    assert fake["day"].str.fullmatch(r"[1-9]\d?/[1-9]\d?/2013").all()
    assert fake["seen"].dropna().str.fullmatch(r"2013-\d\d-\d\dT05:00:00Z").all()
    assert {type(cell) for cell in fake["seen"]} == {str, type(None)}
    months = pd.to_datetime(fake["day"], format="%m/%d/%Y").dt.month
    assert months.nunique() > 6
    assert (fake["hot"] == (months > 6)).mean() > 0.6
    fitted.save(tmp_path / "model")
    assert Synthesizer.load(tmp_path / "model").sample(200).equals(fake)


@pytest.mark.parametrize(
    "columns",
    [
        {"a": ["x", "y", "z"] * 40, "b": ["u", "v"] * 60},
        {"a": np.arange(120) ** 1.5, "b": np.arange(120) ** 0.5},
        {"a": [1.5, None] * 60, "b": [True, False, False] * 40},
    ],
)
def test_tables_of_one_kind_of_column(columns: dict[str, list[object]]) -> None:
    frame = pd.DataFrame(columns)
    fake = Synthesizer(time_limit=SHORT).fit(frame).sample(30)
    assert list(fake.dtypes) == list(frame.dtypes)
    for name in frame:
        if frame[name].dtype != float:
            assert set(fake[name]) <= set(frame[name])


def test_numbers_that_stand_for_missing_ones_may_be_the_largest_there_are() -> None:
    largest = float(np.finfo(np.float64).max)
    table = _table(1_200)
    table["gone"] = np.where(np.arange(len(table)) % 5 == 0, largest, table["income"] / 3)
    table["mass"] = table["income"] * 1e300
    fake = Synthesizer(time_limit=SHORT).fit(table).sample(400)
    assert 0.1 < (fake["gone"] == largest).mean() < 0.3
    assert fake["gone"][fake["gone"] < largest].max() <= table["income"].max() / 3
    assert fake["mass"].between(table["mass"].min(), table["mass"].max()).all()


@pytest.mark.usefixtures("few_samples")
def test_the_table_of_the_caller_is_not_changed() -> None:
    table = _table(100)
    before = table.copy(deep=True)
    Synthesizer(time_limit=SHORT).fit(table)
    pd.testing.assert_frame_equal(table, before)


def test_it_has_scikit_learns_habits() -> None:
    synthesizer = Synthesizer(seed=3, clip=False, target="group")
    twin = clone(synthesizer)
    assert twin is not synthesizer
    assert twin.get_params() == synthesizer.get_params()
    assert twin.set_params(seed=4).seed == 4
    with pytest.raises(NotFittedError):
        synthesizer.sample(1)
    with pytest.raises(NotFittedError):
        synthesizer.save("nowhere")


@pytest.mark.usefixtures("few_samples")
def test_a_schema_that_was_edited_is_followed() -> None:
    table = _table(300)
    synthesizer = Synthesizer(time_limit=SHORT, schema={"income": {"kind": "identifier"}}).fit(table)
    assert synthesizer.schema_.column("income").kind == "identifier"
    fake = synthesizer.sample(50)
    assert not set(fake["income"]) & set(table["income"])


def test_bad_parameters_are_refused(fitted: Synthesizer) -> None:
    with pytest.raises(ValueError, match="n must be at least 1, however: n=0"):
        fitted.sample(0)
    with pytest.raises(ValueError, match="time_limit must be more than 0 minutes, however: time_limit=-1"):
        Synthesizer(time_limit=-1).fit(_table(50))
    with pytest.raises(ValueError, match="seed must be 0 or more, however: seed=-3"):
        Synthesizer(seed=-3).fit(_table(50))
    with pytest.raises(ValueError, match="device must be auto, cpu, cuda"):
        choose_device("abacus")
    with pytest.raises(TableError, match="there is no 'grup'"):
        Synthesizer(target="grup").fit(_table(50))


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pd.DataFrame({"a": [1, "x", 2.5, 3], "b": [1, 2, 3, 4]}), "a"),
        (pd.DataFrame({"a": [[1], [2], [3], [4]], "b": [1, 2, 3, 4]}), "a"),
        (pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]), "a"),
        (pd.DataFrame({"a": [1.0, float("inf"), 2.0], "b": [1, 2, 3]}), "infinite"),
        (pd.DataFrame({"a": [None, None, None], "b": [1, 2, 3]}), "one column, 'b' .besides 'a' .constant"),
        (pd.DataFrame({"a": [1], "b": [2]}), "2 rows"),
        (pd.DataFrame({"a": [1, 2, 3]}), "one column"),
        (pd.DataFrame({f"c{i}": [0.5, 1.5, 2.5] for i in range(2_000)}), "1,000 columns"),
    ],
)
def test_bad_tables_are_refused_before_any_training(frame: pd.DataFrame, words: str) -> None:
    with pytest.raises(TableError, match=words):
        next(Synthesizer().fit_steps(frame))


def test_devices() -> None:
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type in {"cpu", "cuda", "mps"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_gpu_gives_a_table_of_the_same_kind() -> None:
    fake = Synthesizer(time_limit=SHORT, device="cuda").fit(_table()).sample(100)
    assert list(fake.dtypes) == list(_table().dtypes)
