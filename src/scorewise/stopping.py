"""When to stop gradient descent: rules that read a spectrum and its label noise, without rows held out.

All rules take the variances s_k of the whitened labels. Under the optimal weight every s_k is 1 and they are the
textbook rules of unit noise: SURE is Mallows' C_p, the discrepancy's threshold is the number 1, and the
cross-validation score is the published one. With `cluster_levels` as s_k they hold for noisy copies that share a label.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from scorewise.estimate import Estimate
from scorewise.spectrum import Decay, Spectrum, curves, discrete


class Stop(NamedTuple):
    """When to stop, and what decided it. Risks are squared errors per label, in whitened units.

    Attributes:
        step: number of steps to take, one of `steps`.
        steps: numbers of steps that were compared, shape (T,).
        risk: estimated risk of each, shape (T,).
        bias: its part from what is not learned yet, shape (T,); nan where a rule does not tell the parts apart.
        variance: its part from label noise that is fitted, shape (T,); nan likewise.
        se: standard error of the risk, shape (T,); 0 for a bound.
        reason: what decided, in a sentence.
    """

    step: int
    steps: Tensor
    risk: Tensor
    bias: Tensor
    variance: Tensor
    se: Tensor
    reason: str


def sure(spectrum: Spectrum, rate: float, steps: Tensor, decay: Decay = discrete) -> Stop:
    """Stein's unbiased risk estimate: stop at its minimum.

    `SURE(T) = (1/N) sum (1 - q)^2 y^2 - s + 2 q s`, whose mean is the risk for every weight and every noise.

    Args:
        spectrum: eigenvalues, labels and noise.
        rate: step size.
        steps: numbers of steps to compare, increasing, shape (T,).
        decay: `discrete` or `flow`.

    Returns:
        The stop.

    Reference: Stein, "Estimation of the mean of a multivariate normal distribution", 1981, theorem 1; Mallows, "Some
    comments on C_p", 1973. The vector, heteroskedastic form is derived here.
    """
    found = curves(spectrum, rate, _checked(steps), decay)
    risk = found.bias + found.variance
    best = int(risk.argmin())
    return _stop(best, steps, risk, found.bias, found.variance, found.se, "least unbiased estimate of the risk")


def sharp(spectrum: Spectrum, rate: float, steps: Tensor, decay: Decay = discrete, norm: float | None = None) -> Stop:
    """Sharp bound of bias and variance: stop at its minimum.

    `B^2 max_k lambda_k (1 - q_k)^2 + (1/N) sum q^2 s`; the first term bounds the squared bias of any truth whose norm
    in the kernel's space is `sqrt(N) B`.

    Args:
        spectrum: eigenvalues, labels and noise.
        rate: step size.
        steps: numbers of steps to compare, increasing, shape (T,).
        decay: `discrete` or `flow`.
        norm: B; None estimates it from the labels by `truth_norm`.

    Returns:
        The stop; its bias is the bound.

    Reference: derived here.
    """
    found = curves(spectrum, rate, _checked(steps), decay)
    b, said = _norm(spectrum, rate, steps, decay, norm)
    bias = b**2 * (spectrum.values.log() + 2 * decay(spectrum.values, rate, steps)).amax(1).exp()
    risk = bias + found.variance
    reason = f"least bound of bias and variance ({said})"
    return _stop(int(risk.argmin()), steps, risk, bias, found.variance, risk * 0, reason)


def rademacher(
    spectrum: Spectrum, rate: float, steps: Tensor, decay: Decay = discrete, norm: float | None = None
) -> Stop:
    """Local Rademacher complexity: stop before the noise that can be fitted exceeds the bound of the bias.

    With `R(eps)^2 = (1/N) sum s_k min(lambda_k, eps^2)` and `eta_T = rate T`, the last step with
    `R(eta_T^(-1/2)) <= B / (2 e eta_T)`. The squared bias is at most `B^2 / (2 e eta_T)`, the variance at most
    `eta_T R^2`. For one output, equal noise and B = 1 it is the rule of the reference.

    Args:
        spectrum: eigenvalues, labels and noise.
        rate: step size.
        steps: numbers of steps to compare, increasing, shape (T,).
        decay: `discrete` or `flow`; it matters for the estimate of B only.
        norm: B, norm of the truth in the kernel's space over `sqrt(N)`; None estimates it by `truth_norm`.

    Returns:
        The stop; bias and variance are the bounds.

    NOTE[DIFF]: Raskutti et al. have one output, equal noise and a truth of norm 1; the s_k and B are derived here.

    Reference: Raskutti, Wainwright, Yu, "Early stopping and non-parametric regression: an optimal data-dependent
    stopping rule", 2014, eq. 6.
    """
    b, said = _norm(spectrum, rate, _checked(steps), decay, norm)
    time = rate * steps.to(spectrum.values)
    inverse = 1 / time.clamp(min=torch.finfo(time.dtype).tiny)
    complexity = torch.minimum(spectrum.values, inverse[:, None]) @ spectrum.noise / spectrum.size
    violated = complexity.sqrt() * (2 * math.e) * time > b
    bias, variance = b**2 / (2 * math.e) * inverse, time * complexity
    reason = f"the local Rademacher complexity reaches its bound ({said})"
    risk = bias + variance
    return _stop(_last_before(violated), steps, risk, bias, variance, risk * 0, reason)


def gcv(spectrum: Spectrum, rate: float, steps: Tensor, decay: Decay = discrete) -> Stop:
    """Generalised cross-validation: stop at the minimum of `residual / (1 - df)^2`.

    `df = sum q s / sum s` is the mean of q where all labels have the same noise. Where they have not it is weighted by
    the noise, which makes the score agree with `sure` to first order in df; the mean of q does not. The noise has to be
    known up to a factor only.

    NOTE[DIFF]: Craven and Wahba have equal noise; the weighted df is derived here.

    Args:
        spectrum: eigenvalues, labels and noise.
        rate: step size.
        steps: numbers of steps to compare, increasing, shape (T,).
        decay: `discrete` or `flow`.

    Returns:
        The stop; its risk is the score, which has the mean noise level added.

    Reference: Craven, Wahba, "Smoothing noisy data with spline functions", 1979, eq. 1.9.
    """
    found = curves(spectrum, rate, _checked(steps), decay)
    # both are sums of what is left, 1 - q, and are taken relative to its largest: late they are smaller than rounding
    log_left = decay(spectrum.values, rate, steps)
    left = (log_left - log_left.amax(1, keepdim=True)).exp()
    freedom = left @ spectrum.noise / spectrum.noise.sum()
    residual = left.square() @ spectrum.squares / spectrum.size
    score = torch.where(freedom > 0, residual / freedom.square(), torch.inf)
    reason = "least generalised cross-validation score"
    return _stop(int(score.argmin()), steps, score, found.bias, found.variance, found.se, reason)


def discrepancy(spectrum: Spectrum, rate: float, steps: Tensor, decay: Decay = discrete) -> Stop:
    """Discrepancy principle: stop when the training residual reaches the noise, `(1/N) sum (1 - q)^2 y^2 <= mean s`.

    Args:
        spectrum: eigenvalues, labels and noise.
        rate: step size.
        steps: numbers of steps to compare, increasing, shape (T,).
        decay: `discrete` or `flow`.

    Returns:
        The stop: the first step that reaches it, the last of `steps` if none does.

    Reference: Morozov, "On the solution of functional equations by the method of regularization", 1966.
    """
    found = curves(spectrum, rate, _checked(steps), decay)
    reached = found.residual <= found.noise
    first = int(reached.long().argmax()) if bool(reached.any()) else len(steps) - 1
    reason = "the training residual reaches the noise" if bool(reached.any()) else "the residual stays above the noise"
    risk = found.bias + found.variance
    return _stop(first, steps, risk, found.bias, found.variance, found.se, reason)


def held_out(steps: Tensor, squares: Tensor, floor: float = 0.0, errors: float = 0.0, tolerance: float = 0.0) -> Stop:
    """Held-out loss: the reference that the other rules are measured against.

    Hold out clean rows, not noisy copies of training rows (their optimum is the memorising denoiser), and noise them
    once, so that all steps are compared on the same draws.

    Args:
        steps: numbers of steps to compare, increasing, shape (T,).
        squares: whitened squared residual per label of each held-out row, or another loss of it, shape (T, M).
        floor: mean noise level to subtract, 1 under the optimal weight.
        errors: the last step is taken whose risk is at most so many standard errors of the difference above the least,
            or within the tolerance if that is more; 0 for both takes the least.
        tolerance: share of the least risk that a risk may be above it.

    Returns:
        The stop; the standard error is that of the risk's difference to the least one, over the rows.
    """
    risk = squares.mean(1) - floor
    least = int(risk.argmin())
    se = (squares - squares[least]).std(1) / squares.shape[1] ** 0.5
    margin = (errors * se).clamp(min=float(tolerance * risk[least].abs()))
    best = int((risk <= risk[least] + margin).nonzero()[-1])
    unknown = torch.full_like(risk, math.nan)
    bounds = {f"{errors:g} standard errors": errors, f"{100 * tolerance:g} %": tolerance}
    within = " or ".join(said for said, bound in bounds.items() if bound > 0)
    reason = f"last loss on held-out rows within {within} of the least" if within else "least loss on held-out rows"
    return _stop(best, _checked(steps), risk, unknown, unknown, se, reason)


def truth_norm(spectrum: Spectrum, rate: float, step: int, decay: Decay = discrete) -> Estimate:
    """Squared norm of the truth in the kernel's space per label, without the labels' noise.

    `B^2 = (1/N) sum q^2 (y^2 - s) / lambda` with the filter q of a step, best that of `sure`: the discrepancy's varies
    with the chance size of the noise, and B with it. Without the filter, or without subtracting the noise, small
    eigenvalues make it explode.

    Args:
        spectrum: eigenvalues, labels and noise.
        rate: step size.
        step: where to cut.
        decay: `discrete` or `flow`.

    Returns:
        B^2, possibly below 0 where the labels hold no more than noise, and its standard error; shape ().
    """
    least = torch.finfo(spectrum.values.dtype).eps * spectrum.values.max()
    share = -decay(spectrum.values, rate, spectrum.values.new_tensor([step]))[0].expm1()
    factor = torch.where(spectrum.values > least, share.square() / spectrum.values.clamp(min=least), 0.0)
    value = factor @ (spectrum.squares - spectrum.noise) / spectrum.size
    return Estimate(value, (factor.square() @ spectrum.spread).clamp(min=0).sqrt() / spectrum.size)


def geometric_steps(last: int, count: int = 100, device: torch.device | None = None) -> Tensor:
    """Whole numbers from 0 to `last`, about evenly spaced in the logarithm.

    Args:
        last: largest number of steps, at least 1.
        count: how many at most.
        device: where they are wanted; None is the default device.

    Returns:
        Increasing numbers, shape (T,).
    """
    spaced = torch.logspace(0, math.log10(last), count - 1, dtype=torch.float64, device=device).round().long()
    steps: Tensor = torch.unique(torch.cat([spaced.new_zeros(1), spaced]))
    return steps


def _norm(spectrum: Spectrum, rate: float, steps: Tensor, decay: Decay, norm: float | None) -> tuple[float, str]:
    if norm is not None:
        return norm, f"B = {norm:.3g} given"
    square = truth_norm(spectrum, rate, sure(spectrum, rate, steps, decay).step, decay)
    b = math.sqrt(max(float(square.value), 0.0))
    return b, f"B = {b:.3g} estimated"


def _last_before(violated: Tensor) -> int:
    """Index of the last entry before the first violation, at least 0."""
    if not bool(violated.any()):
        return len(violated) - 1
    return max(int(violated.long().argmax()) - 1, 0)


def _checked(steps: Tensor) -> Tensor:
    if steps.ndim != 1 or len(steps) == 0 or bool((steps.diff() <= 0).any()) or bool((steps < 0).any()):
        raise ValueError(
            f"steps must be increasing numbers from 0 on, however: {steps.tolist()[:5]=}. Use geometric_steps(last)."
        )
    return steps


def _stop(index: int, steps: Tensor, risk: Tensor, bias: Tensor, variance: Tensor, se: Tensor, reason: str) -> Stop:
    edge = "; it is the last step that was compared, so more may help" if index == len(steps) - 1 else ""
    return Stop(int(steps[index]), steps, risk, bias, variance, se, reason + edge)
