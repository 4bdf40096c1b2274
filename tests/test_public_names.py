"""The names that `from scorewise import ...` gives, and what importing the package costs."""

import subprocess
import sys

import pytest

import scorewise


@pytest.mark.parametrize("name", scorewise.__all__)
def test_every_public_name_is_there_under_its_own_name(name: str) -> None:
    found = getattr(scorewise, name)
    assert name in dir(scorewise)
    assert getattr(found, "__name__", name) in {name, "Callable"}  # Denoiser is a type alias


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="module 'scorewise' has no attribute 'Sinthesizer'"):
        _ = scorewise.Sinthesizer


def test_importing_the_package_loads_neither_torch_nor_pandas() -> None:
    code = "import sys, scorewise; print([name for name in ('torch', 'pandas', 'sklearn') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_name_of_the_core_loads_no_table_library() -> None:
    code = (
        "import sys; from scorewise import Target, exact, regularised; "
        "print([name for name in ('pandas', 'sklearn', 'pyarrow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
