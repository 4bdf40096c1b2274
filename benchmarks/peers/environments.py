"""An environment for each peer, made from PyPI at the versions that `requirements/NAME.txt` pins.

    python -m benchmarks.peers.environments [NAME ...]

They lie in the folder that SCOREWISE_PEERS_HOME names, `~/.cache/scorewise/peers` by default. One that is there, made
from the same lines, is left as it is. The product is in none of them, and none of them is in the product.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

HOME = "SCOREWISE_PEERS_HOME"
REQUIREMENTS = Path(__file__).parent / "requirements"
UNUSED = "# unused: "


class PeerError(RuntimeError):
    """A peer that cannot be installed or run: what must hold, what was found, what to do."""


def home() -> Path:
    """The folder of the environments."""
    return Path(os.environ.get(HOME) or Path.home() / ".cache" / "scorewise" / "peers").expanduser()


def names() -> list[str]:
    """All environments."""
    return sorted(path.stem for path in REQUIREMENTS.glob("*.txt"))


def unused(requirements: str) -> list[str]:
    """Packages that a peer pulls in and fitting a table does not need, by lines `# unused: NAME ...`.

    They are removed after the installation: wheels of PyPI that are built for another torch than the one that is
    installed keep a peer from being imported.
    """
    lines = [line.removeprefix(UNUSED) for line in requirements.splitlines() if line.startswith(UNUSED)]
    return " ".join(lines).split()


def python_of(name: str) -> Path:
    """The interpreter of an environment.

    Raises:
        PeerError: there is no such environment yet, or it is of other requirements.
    """
    if not _is_made(name):
        raise PeerError(
            f"The environment {name} must lie in {home() / name}, made from {REQUIREMENTS / name}.txt, however: it "
            f"does not. Run python -m benchmarks.peers.environments {name}."
        )
    return _python(home() / name)


def make(name: str) -> Path:
    """Make an environment, if it is not there yet.

    Args:
        name: one of `names()`.

    Returns:
        Its interpreter.

    Raises:
        PeerError: it cannot be made; nothing is left of it.
    """
    if name not in names():
        raise PeerError(f"An environment must be one of {', '.join(names())}, however: {name!r}. Choose one of these.")
    if _is_made(name):
        return python_of(name)
    folder, wanted = home() / name, REQUIREMENTS / f"{name}.txt"
    shutil.rmtree(folder, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(folder)], name)
    pip = [str(_python(folder)), "-m", "pip", "--disable-pip-version-check"]
    _run([*pip, "install", "--quiet", "-r", str(wanted)], name)
    surplus = unused(wanted.read_text(encoding="utf-8"))
    if surplus:
        _run([*pip, "uninstall", "--quiet", "--yes", *surplus], name)
    _stamp(name).write_bytes(wanted.read_bytes())
    return python_of(name)


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _stamp(name: str) -> Path:
    """The requirements that an environment was made from; written last."""
    return home() / name / "requirements.txt"


def _is_made(name: str) -> bool:
    stamp, wanted = _stamp(name), REQUIREMENTS / f"{name}.txt"
    return stamp.is_file() and wanted.is_file() and stamp.read_bytes() == wanted.read_bytes()


def _run(command: list[str], name: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        shutil.rmtree(home() / name, ignore_errors=True)
        said = (done.stderr or done.stdout).strip().splitlines()
        raise PeerError(
            f"The environment {name} must be installed from {REQUIREMENTS / name}.txt, however: "
            f"{said[-1] if said else f'exit status {done.returncode}'}. See that PyPI can be reached and that the disk "
            f"has room, and run again."
        )


def main() -> None:
    """Make the environments named on the command line, or all."""
    parser = argparse.ArgumentParser(description="Make the environments of the peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names()))
    for name in parser.parse_args().names or names():
        print(name, make(name), flush=True)


if __name__ == "__main__":
    main()
