"""Learn scores by denoising; make synthetic tables and their evidence.

The public names are loaded when they are first used, so that `import scorewise` and the command line's help are quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scorewise.allocation import LevelDensity, as_it_is, log_normal, log_uniform, loss_slope, minimum_variance
    from scorewise.covariance import Covariance
    from scorewise.curvature import Readings, readings
    from scorewise.diagnosis import Diagnosis, diagnose, diagnosed
    from scorewise.empirical import exact
    from scorewise.estimate import Estimate
    from scorewise.form import Full, Pure, Sliced
    from scorewise.gradient import GradientNoise, batch_scatter, gradient_noise, probe, row_scatter
    from scorewise.label_noise import Floor, VarianceMap, floor, variance_map
    from scorewise.location import GeneralizedNormal, Laplace, Logistic, MultivariateT, StudentT
    from scorewise.noise import Draw, Gaussian, Noise, from_log_prob
    from scorewise.parameterisation import Parameterisation, convert
    from scorewise.posterior import Denoiser, Posterior, gaussian, mixture
    from scorewise.rowwise import Rowwise
    from scorewise.schedule import Schedule
    from scorewise.tabular.codec import Codec
    from scorewise.tabular.report import Report, evaluate
    from scorewise.tabular.schema import Schema
    from scorewise.tabular.store import ModelError
    from scorewise.tabular.synthesizer import Synthesizer
    from scorewise.tabular.table import TableError
    from scorewise.target import OrderError, Target
    from scorewise.weighting import regularised
    from scorewise.whitened import Calibration, calibration

__all__ = [
    "Calibration",
    "Codec",
    "Covariance",
    "Denoiser",
    "Diagnosis",
    "Draw",
    "Estimate",
    "Floor",
    "Full",
    "Gaussian",
    "GeneralizedNormal",
    "GradientNoise",
    "Laplace",
    "LevelDensity",
    "Logistic",
    "ModelError",
    "MultivariateT",
    "Noise",
    "OrderError",
    "Parameterisation",
    "Posterior",
    "Pure",
    "Readings",
    "Report",
    "Rowwise",
    "Schedule",
    "Schema",
    "Sliced",
    "StudentT",
    "Synthesizer",
    "TableError",
    "Target",
    "VarianceMap",
    "as_it_is",
    "batch_scatter",
    "calibration",
    "convert",
    "diagnose",
    "diagnosed",
    "evaluate",
    "exact",
    "floor",
    "from_log_prob",
    "gaussian",
    "gradient_noise",
    "log_normal",
    "log_uniform",
    "loss_slope",
    "minimum_variance",
    "mixture",
    "probe",
    "readings",
    "regularised",
    "row_scatter",
    "variance_map",
]

_PLACES = {
    "Calibration": "whitened",
    "Codec": "tabular.codec",
    "Covariance": "covariance",
    "Denoiser": "posterior",
    "Diagnosis": "diagnosis",
    "Draw": "noise",
    "Estimate": "estimate",
    "Floor": "label_noise",
    "Full": "form",
    "Gaussian": "noise",
    "GeneralizedNormal": "location",
    "GradientNoise": "gradient",
    "Laplace": "location",
    "LevelDensity": "allocation",
    "Logistic": "location",
    "ModelError": "tabular.store",
    "MultivariateT": "location",
    "Noise": "noise",
    "OrderError": "target",
    "Parameterisation": "parameterisation",
    "Posterior": "posterior",
    "Pure": "form",
    "Readings": "curvature",
    "Report": "tabular.report",
    "Rowwise": "rowwise",
    "Schedule": "schedule",
    "Schema": "tabular.schema",
    "Sliced": "form",
    "StudentT": "location",
    "Synthesizer": "tabular.synthesizer",
    "TableError": "tabular.table",
    "Target": "target",
    "VarianceMap": "label_noise",
    "as_it_is": "allocation",
    "batch_scatter": "gradient",
    "calibration": "whitened",
    "convert": "parameterisation",
    "diagnose": "diagnosis",
    "diagnosed": "diagnosis",
    "evaluate": "tabular.report",
    "exact": "empirical",
    "floor": "label_noise",
    "from_log_prob": "noise",
    "gaussian": "posterior",
    "gradient_noise": "gradient",
    "log_normal": "allocation",
    "log_uniform": "allocation",
    "loss_slope": "allocation",
    "minimum_variance": "allocation",
    "mixture": "posterior",
    "probe": "gradient",
    "readings": "curvature",
    "regularised": "weighting",
    "row_scatter": "gradient",
    "variance_map": "label_noise",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"scorewise.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
