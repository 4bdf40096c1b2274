"""Folders of safetensors and JSON: written whole or not at all, read without running code."""

import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

FORMAT = "scorewise"
FORMAT_VERSION = 14
FACTS = "model.json"
TENSORS = "model.safetensors"


class ModelError(ValueError):
    """A folder that is no model, is damaged, or was made by a version that this one cannot read."""


def is_model(path: str | Path) -> bool:
    """Whether a path is a folder that looks like one that `write` made."""
    return (Path(path) / FACTS).is_file() and (Path(path) / TENSORS).is_file()


def write(path: str | Path, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write a folder; an interrupted or failed write leaves the folder that was there whole.

    Args:
        path: the folder, replaced if it is a model.
        facts: what can be said as JSON.
        tensors: the tensors by name.

    Raises:
        FileExistsError: if the path exists and is not such a folder.
        OSError: if the disk is full or not writable; nothing is left behind.
    """
    target = Path(path)
    if target.exists() and not is_model(target):
        raise FileExistsError(
            errno.EEXIST, f"{target} must be new or a model folder, however: it is something else. Name another folder."
        )
    content = save_tensors({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    said = {**facts, "format": FORMAT, "format_version": FORMAT_VERSION, "sha256": hashlib.sha256(content).hexdigest()}
    token = secrets.token_hex(4)
    fresh, old = target.with_name(f".{target.name}.{token}.new"), target.with_name(f".{target.name}.{token}.old")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh.mkdir()
        _write_file(fresh / TENSORS, content)
        _write_file(fresh / FACTS, json.dumps(said, indent=1, allow_nan=False).encode())
        if target.exists():
            target.rename(old)
        try:
            fresh.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(
            error.errno, f"The model must be written to {target}, however: {reason}. Free space or name another folder."
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _write_file(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def read(path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read a folder that `write` made.

    Args:
        path: the folder.

    Returns:
        The facts and the tensors.

    Raises:
        ModelError: if it is no such folder, is damaged, or of another format version.
    """
    folder = Path(path)
    if not is_model(folder):
        found = "no such folder" if not folder.exists() else f"no {FACTS} and {TENSORS} in it"
        raise ModelError(
            f"A model must be a folder that `scorewise fit` or `Synthesizer.save` wrote, however: {folder}: {found}. "
            "Check the path, or fit a model."
        )
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        content = (folder / TENSORS).read_bytes()
    except ValueError as error:
        raise ModelError(f"{folder / FACTS} must be JSON, however: {error}. Restore or fit the model again.") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise ModelError(f"{folder} must be a model of scorewise, however: it is another program's. Check the path.")
    if facts.get("format_version") != FORMAT_VERSION:
        raise ModelError(
            f"{folder} must be of format version {FORMAT_VERSION}, however: {facts.get('format_version')!r}. "
            "Read it with the version of scorewise that wrote it, or fit the model again."
        )
    if hashlib.sha256(content).hexdigest() != facts.get("sha256"):
        raise ModelError(
            f"{folder / TENSORS} must be the file that was saved, however: its checksum differs. "
            "Restore it, or fit the model again."
        )
    try:
        return facts, load_tensors(content)
    except SafetensorError as error:
        raise ModelError(f"{folder / TENSORS} must be safetensors, however: {error}. Fit the model again.") from error


def remove(path: str | Path) -> None:
    """Remove a folder that `write` made; anything else is left alone."""
    if is_model(path):
        shutil.rmtree(path)


def prefixed(prefix: str, named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put a prefix before the names of tensors, so that those of several owners go into one folder.

    Args:
        prefix: the prefix.
        named: tensors by name.

    Returns:
        The same tensors.
    """
    return {f"{prefix}{name}": tensor for name, tensor in named.items()}


def part(named: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Pick the tensors of one owner; the inverse of `prefixed`.

    Args:
        named: tensors by name.
        prefix: the prefix.

    Returns:
        Those whose names begin with it, by what follows it.
    """
    return {name.removeprefix(prefix): tensor for name, tensor in named.items() if name.startswith(prefix)}
