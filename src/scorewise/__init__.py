"""Learn scores by denoising; make synthetic tables and their evidence.

The public names are loaded when they are first used, so that `import scorewise` and the command line's help are quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scorewise.covariance import Covariance
    from scorewise.empirical import exact
    from scorewise.estimate import Estimate
    from scorewise.form import Full, Pure, Sliced
    from scorewise.location import GeneralizedNormal, Laplace, Logistic, MultivariateT, StudentT
    from scorewise.noise import Draw, Gaussian, Noise, from_log_prob
    from scorewise.parameterisation import Parameterisation, convert
    from scorewise.posterior import Denoiser, Posterior, gaussian, mixture
    from scorewise.schedule import Schedule
    from scorewise.tabular.codec import Codec
    from scorewise.tabular.report import Report, evaluate
    from scorewise.tabular.schema import Schema
    from scorewise.tabular.store import ModelError
    from scorewise.tabular.synthesizer import Synthesizer
    from scorewise.tabular.table import TableError
    from scorewise.target import OrderError, Target
    from scorewise.weighting import regularised

__all__ = [
    "Codec",
    "Covariance",
    "Denoiser",
    "Draw",
    "Estimate",
    "Full",
    "Gaussian",
    "GeneralizedNormal",
    "Laplace",
    "Logistic",
    "ModelError",
    "MultivariateT",
    "Noise",
    "OrderError",
    "Parameterisation",
    "Posterior",
    "Pure",
    "Report",
    "Schedule",
    "Schema",
    "Sliced",
    "StudentT",
    "Synthesizer",
    "TableError",
    "Target",
    "convert",
    "evaluate",
    "exact",
    "from_log_prob",
    "gaussian",
    "mixture",
    "regularised",
]

_PLACES = {
    "Codec": "tabular.codec",
    "Covariance": "covariance",
    "Denoiser": "posterior",
    "Draw": "noise",
    "Estimate": "estimate",
    "Full": "form",
    "Gaussian": "noise",
    "GeneralizedNormal": "location",
    "Laplace": "location",
    "Logistic": "location",
    "ModelError": "tabular.store",
    "MultivariateT": "location",
    "Noise": "noise",
    "OrderError": "target",
    "Parameterisation": "parameterisation",
    "Posterior": "posterior",
    "Pure": "form",
    "Report": "tabular.report",
    "Schedule": "schedule",
    "Schema": "tabular.schema",
    "Sliced": "form",
    "StudentT": "location",
    "Synthesizer": "tabular.synthesizer",
    "TableError": "tabular.table",
    "Target": "target",
    "convert": "parameterisation",
    "evaluate": "tabular.report",
    "exact": "empirical",
    "from_log_prob": "noise",
    "gaussian": "posterior",
    "mixture": "posterior",
    "regularised": "weighting",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"scorewise.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
