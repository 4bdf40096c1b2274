"""Learn scores by denoising; make synthetic tables and their evidence.

The public names are loaded when they are first used, so that `import scorewise` and the command line's help are quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scorewise.tabular.codec import Codec
    from scorewise.tabular.report import Report, evaluate
    from scorewise.tabular.schema import Schema
    from scorewise.tabular.store import ModelError
    from scorewise.tabular.synthesizer import Synthesizer
    from scorewise.tabular.table import TableError

__all__ = ["Codec", "ModelError", "Report", "Schema", "Synthesizer", "TableError", "evaluate"]

_PLACES = {
    "Codec": "codec",
    "ModelError": "store",
    "Report": "report",
    "Schema": "schema",
    "Synthesizer": "synthesizer",
    "TableError": "table",
    "evaluate": "report",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"scorewise.tabular.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
