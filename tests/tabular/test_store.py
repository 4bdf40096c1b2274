import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from scorewise.tabular import store
from scorewise.tabular.store import ModelError

FACTS = {"kind": "test", "numbers": [1, 2.5]}
TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(7)}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    store.write(tmp_path / "model", FACTS, TENSORS)
    facts, tensors = store.read(tmp_path / "model")
    assert facts["numbers"] == [1, 2.5]
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)
    assert sorted(os.listdir(tmp_path)) == ["model"]
    assert sorted(os.listdir(tmp_path / "model")) == ["model.json", "model.safetensors"]


def test_a_model_is_replaced_and_anything_else_is_not(tmp_path: Path) -> None:
    store.write(tmp_path / "model", FACTS, TENSORS)
    store.write(tmp_path / "model", {"kind": "other"}, TENSORS)
    assert store.read(tmp_path / "model")[0]["kind"] == "other"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("dear diary")
    with pytest.raises(FileExistsError, match="must be new or a model folder"):
        store.write(tmp_path / "mine", FACTS, TENSORS)
    store.remove(tmp_path / "mine")
    assert (tmp_path / "mine" / "diary.txt").exists()


@pytest.mark.parametrize("damage", ["tensor", "facts", "foreign", "version", "absent", "half"])
def test_damaged_and_foreign_folders_are_refused(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "model"
    store.write(folder, FACTS, TENSORS)
    facts = folder / "model.json"
    said = json.loads(facts.read_text())
    match damage:
        case "tensor":
            content = bytearray((folder / "model.safetensors").read_bytes())
            content[-1] ^= 1
            (folder / "model.safetensors").write_bytes(content)
            expected = "must be the file that was saved, however: its checksum differs"
        case "facts":
            facts.write_text(facts.read_text()[:40])
            expected = "must be JSON"
        case "foreign":
            facts.write_text(json.dumps({**said, "format": "pickle"}))
            expected = "must be a model of scorewise"
        case "version":
            facts.write_text(json.dumps({**said, "format_version": 99}))
            expected = "must be of format version 14, however: 99"
        case "absent":
            folder = tmp_path / "nowhere"
            expected = "no such folder"
        case _:
            facts.unlink()
            expected = r"no model\.json and model\.safetensors in it"
    with pytest.raises(ModelError, match=expected):
        store.read(folder)


def test_a_full_disk_leaves_the_old_model_whole_and_nothing_else(tmp_path: Path) -> None:
    store.write(tmp_path / "model", FACTS, TENSORS)
    script = """
import resource, signal, sys, torch
from scorewise.tabular import store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    store.write(sys.argv[1], {"kind": "large"}, {"a": torch.zeros(10_000)})
except OSError as error:
    print(error)
"""
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "model")], capture_output=True, text=True, check=True
    )
    assert "The model must be written to" in run.stdout
    assert "Free space" in run.stdout
    assert store.read(tmp_path / "model")[0]["kind"] == "test"
    assert os.listdir(tmp_path) == ["model"]


def test_tensors_of_several_owners_are_told_apart_by_their_names() -> None:
    mine, yours = {"a": torch.zeros(1), "b.c": torch.ones(2)}, {"a": torch.ones(3)}
    together = store.prefixed("mine.", mine) | store.prefixed("yours.", yours)
    assert set(together) == {"mine.a", "mine.b.c", "yours.a"}
    assert store.part(together, "mine.") == mine
    assert store.part(together, "yours.") == yours
