"""Every script in examples/ is run, and what it claims is held."""

import ast
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


def test_there_are_examples() -> None:
    assert {path.stem for path in EXAMPLES} >= {"own_loop", "diffusers_scheduler", "edm_loss"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_it_runs_and_says_something(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out.strip()


def _load(name: str) -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "examples" / f"{name}.py")))


def test_a_loop_of_ones_own_takes_less_than_twenty_lines_and_learns(capsys: pytest.CaptureFixture[str]) -> None:
    source = next(path for path in EXAMPLES if path.stem == "own_loop").read_text(encoding="utf-8")
    function = next(node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))
    assert function.name == "train"
    assert function.end_lineno is not None
    assert function.end_lineno - function.lineno + 1 < 20 + 1
    runpy.run_path(str(EXAMPLES[[path.stem for path in EXAMPLES].index("own_loop")]), run_name="__main__")
    assert float(capsys.readouterr().out.rpartition(":")[2]) < 0.2


def test_scheduler_weights_are_the_published_ones() -> None:
    example = _load("diffusers_scheduler")
    table, steps = torch.linspace(0.999, 0.001, 50, dtype=torch.float64), torch.tensor([0, 5, 20, 49])
    ratio = table[steps] / (1 - table[steps])
    cut = ratio.clamp(max=5)
    published = {"epsilon": cut / ratio, "v_prediction": cut / (ratio + 1), "sample": cut}
    for kind, expected in published.items():
        scheduler = SimpleNamespace(alphas_cumprod=table, config=SimpleNamespace(prediction_type=kind))
        torch.testing.assert_close(example.loss_weight(scheduler, steps, example.min_snr(5.0)), expected)


def test_edms_weight_and_the_measured_one_agree_for_gaussian_rows() -> None:
    example = _load("edm_loss")
    generator = torch.Generator().manual_seed(0)
    rows, levels = 0.5 * torch.randn(3_000, 2, generator=generator), torch.tensor([0.3, 1.0, 3.0])
    one, other = example.edm_weight(levels), example.measured_weight(rows, levels, generator)(levels)
    torch.testing.assert_close(one, (levels**2 + 0.25) / (levels * 0.5) ** 2)
    torch.testing.assert_close(one, other, rtol=0.06, atol=0)
