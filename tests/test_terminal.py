"""Progress on a terminal and without one."""

import os
import subprocess
import sys
from collections.abc import Generator

import pytest

from scorewise import terminal
from scorewise.tabular.synthesizer import Progress
from scorewise.terminal import follow, tell


def three_steps() -> Generator[Progress, None, str]:
    for done in range(1, 4):
        yield Progress(
            done=1_000 * done, total=90_000, unit="steps", rate=100.0, loss=2.0 / done, message="no end in sight"
        )
    return "result"


def test_without_a_terminal_progress_is_plain_lines(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "LINE_SECONDS", 0.0)
    assert follow(three_steps(), "Fitting", quiet=False) == "result"
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "Fitting: 1,000 of 90,000 steps, 100.0 steps/s, 14:50 left, loss 2.0000, no end in sight",
        "Fitting: 2,000 of 90,000 steps, 100.0 steps/s, 14:40 left, loss 1.0000, no end in sight",
        "Fitting: 3,000 of 90,000 steps, 100.0 steps/s, 14:30 left, loss 0.6667, no end in sight",
    ]


def test_lines_do_not_come_more_often_than_every_ten_seconds(capfd: pytest.CaptureFixture[str]) -> None:
    assert follow(three_steps(), "Fitting", quiet=False) == "result"
    assert [line.split(" of ")[0] for line in capfd.readouterr().err.splitlines()] == ["Fitting: 1,000"]


def test_the_end_of_a_training_is_told_with_its_curve(capfd: pytest.CaptureFixture[str]) -> None:
    tell("It ended.", [2.0, 1.0, 1.1, 1.5])
    first, second = capfd.readouterr().err.splitlines()
    assert first == "Trained. It ended."
    assert second == "Loss on new rows, in nats per column: 2.000 █▁▅▇ 1.500"
    tell("It ended.", [])
    assert capfd.readouterr().err == "Trained. It ended.\n"


def test_quiet_is_quiet(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "LINE_SECONDS", 0.0)
    assert follow(three_steps(), "Fitting", quiet=True) == "result"
    assert capfd.readouterr().err == ""


def test_an_error_of_the_generator_comes_through() -> None:
    def failing() -> Generator[Progress, None, None]:
        yield Progress(done=1, total=2, unit="rows", rate=0.0, loss=None, message="")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        follow(failing(), "Sampling", quiet=True)


def test_an_interruption_between_two_items_closes_the_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = []

    def careful() -> Generator[Progress, None, None]:
        try:
            yield Progress(done=1, total=2, unit="rows", rate=0.0, loss=None, message="")
        finally:
            kept.append("checkpoint")

    class InterruptedStream:
        def isatty(self) -> bool:
            return False

        def write(self, text: str) -> int:
            raise KeyboardInterrupt

        def flush(self) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stderr", InterruptedStream())
    steps = careful()
    with pytest.raises(KeyboardInterrupt):
        follow(steps, "Sampling", quiet=False)
    assert kept == ["checkpoint"]


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs pseudo-terminals")
def test_on_a_terminal_progress_is_a_bar() -> None:
    program = (
        "from scorewise.tabular.synthesizer import Progress\nfrom scorewise.terminal import follow\n"
        "def steps():\n    yield Progress(done=50, total=200, unit='rows', rate=10.0, loss=None, message='')\n"
        "follow(steps(), 'Sampling', quiet=False)\n"
    )
    ours, theirs = os.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    done = subprocess.run([sys.executable, "-c", program], stderr=theirs, stdout=subprocess.PIPE, env=environment)
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert done.returncode == 0
    assert done.stdout == b""
    assert "Sampling" in shown
    assert "━" in shown
    assert "50 of 200 rows, 10.0 rows/s, 0:15 left" in shown
