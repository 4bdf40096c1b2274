"""Learn scores by denoising; make synthetic tables and their evidence.

The public names are loaded when they are first used, so that `import scorewise` and the command line's help are quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scorewise.allocation import LevelDensity, as_it_is, log_normal, log_uniform, loss_slope, minimum_variance
    from scorewise.covariance import Covariance
    from scorewise.curvature import Readings, readings
    from scorewise.descent import Path
    from scorewise.diagnosis import Diagnosis, diagnose, diagnosed
    from scorewise.empirical import exact
    from scorewise.estimate import Estimate
    from scorewise.form import Full, Pure, Sliced
    from scorewise.gradient import GradientNoise, batch_scatter, gradient_noise, probe, row_scatter
    from scorewise.holdout import Holdout
    from scorewise.label_noise import Floor, VarianceMap, floor, variance_map
    from scorewise.localisation import fit_intervals
    from scorewise.location import GeneralizedNormal, Laplace, Logistic, MultivariateT, StudentT
    from scorewise.noise import Draw, Gaussian, Noise, from_log_prob
    from scorewise.optimism import adam_step_sizes, extrapolation, row_weights, snapshot_optimism
    from scorewise.parameterisation import Parameterisation, convert
    from scorewise.posterior import Denoiser, Posterior, gaussian, mixture
    from scorewise.record import Record, Seen
    from scorewise.rowwise import Rowwise
    from scorewise.schedule import Schedule
    from scorewise.shallow import TwoLayer, gradient_descent
    from scorewise.spectrum import Spectrum
    from scorewise.stopping import Stop, discrepancy, gcv, geometric_steps, held_out, rademacher, sharp, sure
    from scorewise.tabular.codec import Codec
    from scorewise.tabular.report import Report, evaluate
    from scorewise.tabular.schema import Schema
    from scorewise.tabular.store import ModelError
    from scorewise.tabular.synthesizer import Synthesizer
    from scorewise.tabular.table import TableError
    from scorewise.tangent import empirical_kernel, kernel_operator, tangent_kernel
    from scorewise.target import OrderError, Target
    from scorewise.watch import Verdict, extrapolated, penalised, reached
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
    "Holdout",
    "Laplace",
    "LevelDensity",
    "Logistic",
    "ModelError",
    "MultivariateT",
    "Noise",
    "OrderError",
    "Parameterisation",
    "Path",
    "Posterior",
    "Pure",
    "Readings",
    "Record",
    "Report",
    "Rowwise",
    "Schedule",
    "Schema",
    "Seen",
    "Sliced",
    "Spectrum",
    "Stop",
    "StudentT",
    "Synthesizer",
    "TableError",
    "Target",
    "TwoLayer",
    "VarianceMap",
    "Verdict",
    "adam_step_sizes",
    "as_it_is",
    "batch_scatter",
    "calibration",
    "convert",
    "diagnose",
    "diagnosed",
    "discrepancy",
    "empirical_kernel",
    "evaluate",
    "exact",
    "extrapolated",
    "extrapolation",
    "fit_intervals",
    "floor",
    "from_log_prob",
    "gaussian",
    "gcv",
    "geometric_steps",
    "gradient_descent",
    "gradient_noise",
    "held_out",
    "kernel_operator",
    "log_normal",
    "log_uniform",
    "loss_slope",
    "minimum_variance",
    "mixture",
    "penalised",
    "probe",
    "rademacher",
    "reached",
    "readings",
    "regularised",
    "row_scatter",
    "row_weights",
    "sharp",
    "snapshot_optimism",
    "sure",
    "tangent_kernel",
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
    "Holdout": "holdout",
    "Laplace": "location",
    "LevelDensity": "allocation",
    "Logistic": "location",
    "ModelError": "tabular.store",
    "MultivariateT": "location",
    "Noise": "noise",
    "OrderError": "target",
    "Parameterisation": "parameterisation",
    "Path": "descent",
    "Posterior": "posterior",
    "Pure": "form",
    "Readings": "curvature",
    "Record": "record",
    "Report": "tabular.report",
    "Rowwise": "rowwise",
    "Schedule": "schedule",
    "Schema": "tabular.schema",
    "Seen": "record",
    "Sliced": "form",
    "Spectrum": "spectrum",
    "Stop": "stopping",
    "StudentT": "location",
    "Synthesizer": "tabular.synthesizer",
    "TableError": "tabular.table",
    "Target": "target",
    "TwoLayer": "shallow",
    "VarianceMap": "label_noise",
    "Verdict": "watch",
    "adam_step_sizes": "optimism",
    "as_it_is": "allocation",
    "batch_scatter": "gradient",
    "calibration": "whitened",
    "convert": "parameterisation",
    "diagnose": "diagnosis",
    "diagnosed": "diagnosis",
    "discrepancy": "stopping",
    "empirical_kernel": "tangent",
    "evaluate": "tabular.report",
    "exact": "empirical",
    "extrapolated": "watch",
    "extrapolation": "optimism",
    "fit_intervals": "localisation",
    "floor": "label_noise",
    "from_log_prob": "noise",
    "gaussian": "posterior",
    "gcv": "stopping",
    "geometric_steps": "stopping",
    "gradient_descent": "shallow",
    "gradient_noise": "gradient",
    "held_out": "stopping",
    "kernel_operator": "tangent",
    "log_normal": "allocation",
    "log_uniform": "allocation",
    "loss_slope": "allocation",
    "minimum_variance": "allocation",
    "mixture": "posterior",
    "penalised": "watch",
    "probe": "gradient",
    "rademacher": "stopping",
    "reached": "watch",
    "readings": "curvature",
    "regularised": "weighting",
    "row_scatter": "gradient",
    "row_weights": "optimism",
    "sharp": "stopping",
    "snapshot_optimism": "optimism",
    "sure": "stopping",
    "tangent_kernel": "tangent",
    "variance_map": "label_noise",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"scorewise.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
