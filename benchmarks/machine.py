"""Describe the machine that numbers were measured on."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import torch

from scorewise.tabular.generation import prefers_bf16


def machine() -> dict[str, str]:
    """Give processor, cores, instructions, threads and versions."""
    name = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        name = names[0] if names else name
    return {
        "processor": name,
        "cores": str(os.cpu_count()),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        **({"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}),
        "threads": str(torch.get_num_threads()),
        "bfloat16 used": str(prefers_bf16(torch.device("cpu"))),
        "python": platform.python_version(),
        **{package: version(package) for package in ("scorewise", "torch", "numpy", "lightgbm")},
    }
