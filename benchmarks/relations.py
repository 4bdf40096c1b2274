"""Measure what relations between columns are worth that are found in the data; write it as JSON.

    SCOREWISE_DATA_HOME=... python benchmarks/relations.py [--against SRC] [--out FILE] [--markdown] [TABLE ...]

Magic, and tables that are made up here, with the relations of which such tables are full: orders with the days on which
they were due and paid, games in parks of which most have one team, sales of articles, most of which have one price,
staff of whom no one is longer in a role than at the firm, and rides that follow the hour, the weekday and the season,
these also logged with days and times as integers; rows of Beijing's air with its year, month, day and hour as one
moment, and of Adult with six of its columns spread over zeros and ones; customers with postal codes, of which a
town has several, and its state; plots of land with their areas and prices a square metre, some typed wrongly; loans
graded by a score, with classes of incomes; pupils with the codes of their schools in three years; bills with totals, of
which some were typed wrongly; meters that were read into floats of 32 bits; a bank's loans with rates by grade and
month, fees by purpose and channel, and payments; mortgages, many of them a round share of the price; and stays in a
hospital, with days of birth and ages. Each is fitted
by default, and as many rows as it has are sampled and scored; where there are moments to the hour, with their hours,
weekdays and months as columns more. With `--against` the
package in another folder is measured, too, in a process of its own. A table that is in the JSON file is measured again
only if it is named.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import torch
from command import run_against
from shown import SCORES
from splits import split
from stages import KEYS, judged

from scorewise.datasets import load
from scorewise.tabular.schema import Schema
from scorewise.tabular.synthesizer import Synthesizer
from scorewise.tabular.table import to_arrow

ROWS, TEST_ROWS = 8_000, 2_000
DAYS, TERMS = 1_500, (14, 30, 60, 90)
PARKS, TEAMS, ARTICLES = 600, 90, 400
CODES, STATES = 1_200, 40
GRADES, CLASSES = (500, 560, 620, 700), (20_000, 45_000)
SHARES = (0.75, 0.8, 0.9, 0.95)
SPREAD = ["workclass", "education", "marital-status", "occupation", "relationship", "race"]


def orders(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Orders: when they were shipped, due by one of four terms, and paid, a third of them on the day."""
    day = (DAYS * rng.beta(2, 1.5, rows)).astype(int)
    due = day + rng.choice(TERMS, rows, p=[0.2, 0.5, 0.2, 0.1])
    days = {
        "ordered": day,
        "shipped": day + 1 + rng.poisson(2.5, rows),
        "due": due,
        "paid": due + np.where(rng.random(rows) < 1 / 3, 0, rng.normal(3, 8, rows).round().astype(int)),
    }
    made = pd.DataFrame({name: pd.Timestamp("2019-01-01") + pd.to_timedelta(n, unit="D") for name, n in days.items()})
    return made.assign(amount=rng.lognormal(5, 1, rows).round(2), region=rng.choice(list("abcd"), rows))


def games(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Games in parks, of which most have one team: its runs depend on the park, the spectators on both."""
    park = (PARKS * rng.random(rows) ** 2).astype(int)
    team = np.where(rng.random(rows) < 0.08, rng.integers(0, TEAMS, rows), 37 * park % TEAMS)
    runs = rng.poisson(3 + park % 4)
    seen = rng.lognormal(9 + 0.1 * (team % 7) + 0.05 * runs, 0.4).round()
    minutes = rng.normal(150 + 5 * runs, 15).round()
    made = {"park": park.astype(str), "team": team.astype(str), "runs": runs, "seen": seen, "minutes": minutes}
    return pd.DataFrame(made)


def sales(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Sales of articles, most of which have one price but for discounts."""
    article = (ARTICLES * rng.random(rows) ** 2).astype(int)
    listed = np.random.default_rng(ARTICLES).lognormal(3, 1, ARTICLES).round(2)[article]
    discount = np.where(rng.random(rows) < 0.07, rng.choice([0.1, 0.2], rows), 0.0)
    count = 1 + rng.poisson(np.where(discount > 0, 3, 1.5))
    price = (listed * (1 - discount)).round(2)
    shop = rng.choice(list("abc"), rows)
    return pd.DataFrame({"article": 10_000 + 7 * article, "price": price, "count": count, "shop": shop})


def rides(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Rides of an hour: most in mornings and evenings of working days, in afternoons of others, and when it is warm."""
    when = pd.Timestamp("2019-01-01") + pd.to_timedelta(rng.integers(0, 24 * DAYS, rows), unit="h")
    season = np.cos(2 * np.pi * (when.day_of_year - 200) / 365)
    warm = rng.normal(12 + 10 * season + 3 * np.sin(2 * np.pi * (when.hour - 9) / 24), 4).round(1)
    peaks = [np.exp(-(((when.hour - hour) / width) ** 2)) for hour, width in ((8, 2), (18, 2), (14, 4))]
    busy = np.where(when.day_of_week < 5, peaks[0] + peaks[1], 0.8 * peaks[2])
    count = rng.poisson(10 + 15 * (12 + np.maximum(warm, 0)) * busy)
    return pd.DataFrame({"when": when, "warm": warm, "wet": rng.random(rows) < 0.2, "count": count})


def staff(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Years of age, at work, at the firm and in a role, each part of the one before; juniors have no bonus."""
    work = rng.gamma(2, 7, rows).clip(max=45).astype(int)
    firm = (work * rng.beta(1.5, 1, rows)).round().astype(int)
    role = np.minimum(firm, rng.gamma(1.5, 3, rows).astype(int))
    junior = work < rng.integers(2, 6, rows)
    bonus = np.where(junior, 0, rng.choice([0, 500, 1_000, 2_000], rows, p=[0.4, 0.3, 0.2, 0.1]))
    pay = (2_000 + 40 * work + 300 * ~junior + rng.normal(0, 200, rows)).round()
    years = {"age": 18 + work + rng.integers(0, 12, rows), "work": work, "firm": firm, "role": role}
    return pd.DataFrame({**years, "rank": np.where(junior, "junior", "senior"), "bonus": bonus, "pay": pay})


def broken(staff: pd.DataFrame) -> float:
    """The share of rows with what no one of the staff has."""
    longer = (staff["role"] > staff["firm"]) | (staff["firm"] > staff["work"]) | (staff["work"] > staff["age"] - 18)
    return float((longer | ((staff["rank"] == "junior") & (staff["bonus"] > 0))).mean())


def air(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Rows of Beijing's air with one moment."""
    whole = load("beijing_pm25")
    some = whole.iloc[rng.permutation(len(whole))[:rows]].reset_index(drop=True)
    parts = ["year", "month", "day", "hour"]
    return some.drop(columns=["No", *parts]).assign(when=pd.to_datetime(some[parts]))


def logged(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Rides with their days and times as integers, such as 20190131 and 805."""
    made = rides(rows, rng)
    when = made.pop("when") + pd.to_timedelta(5 * rng.integers(0, 12, rows), unit="min")
    return made.assign(day=when.dt.strftime("%Y%m%d").astype(int), time=when.dt.strftime("%H%M").astype(int))


def when(logged: pd.DataFrame) -> "pd.Series[Any]":
    """The moments of rides that were logged; missing where there is no such day or time."""
    text = logged["day"].astype(str) + logged["time"].astype(str).str.zfill(4)
    return pd.to_datetime(text, format="%Y%m%d%H%M", errors="coerce")


def spread(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Rows of Adult with a column of zeros and ones for each level of six of its columns."""
    whole = load("adult")
    some = whole.iloc[rng.permutation(len(whole))[:rows]].reset_index(drop=True)
    return pd.get_dummies(some, columns=SPREAD, dtype=int)


def twofold(spread: pd.DataFrame) -> float:
    """The share of rows that have two levels of a column, or none of one that is never missing in Adult."""
    ones = pd.DataFrame({name: spread.filter(regex=f"^{name}_").sum(axis=1) for name in SPREAD})
    return float(((ones > 1) | ((ones == 0) & ~ones.columns.isin(["workclass", "occupation"]))).any(axis=1).mean())


def country() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Postal codes, the towns that they stand for, the states of these, and how many live in each."""
    rng = np.random.default_rng(0)
    code = np.sort(rng.choice(np.arange(10_000, 99_999), CODES, replace=False))
    starts = np.sort(np.append(0, rng.choice(np.arange(1, CODES), CODES * 2 // 3 - 1, replace=False)))
    town = np.searchsorted(starts, np.arange(CODES), "right") - 1  # of neighbouring codes
    people = rng.pareto(1.5, CODES) + 0.3
    return code, town, (code - 10_000) * STATES // 90_000, people / people.sum()


def customers(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Customers with code, town and state: how many have which plan depends on the state, what they pay on the plan."""
    code, town, state, people = country()
    of = rng.choice(CODES, rows, p=people)
    liking = np.random.default_rng(1).dirichlet([1.0, 1.0, 1.0], STATES)[state[of]]
    plan = (rng.random(rows)[:, None] > liking.cumsum(1)).sum(1).clip(max=2)
    paid = (np.array([20, 35, 60])[plan] * rng.lognormal(0, 0.2, rows)).round(2)
    names = {"town": np.char.add("Town ", town[of].astype(str)), "state": np.char.add("S", state[of].astype(str))}
    months = rng.geometric(0.03 + 0.03 * plan)
    return pd.DataFrame({"code": code[of], **names, "plan": np.array([*"abc"])[plan], "months": months, "paid": paid})


def nowhere(customers: pd.DataFrame) -> float:
    """The share of rows with a code, town and state that do not belong together."""
    code, town, state, _ = country()
    known = set(zip(code, town, state, strict=True))
    told = customers["town"].str[5:].astype(int), customers["state"].str[1:].astype(int)
    return 1 - float(np.mean([one in known for one in zip(customers["code"], *told, strict=True)]))


def plots(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Plots of land: the area of which is the product of its sides, and the price a square metre, but for some rows."""
    width = rng.lognormal(2.8, 0.3, rows).round(1)
    length = (width * rng.lognormal(0.5, 0.3, rows)).round(1)
    zone = rng.choice(list("abc"), rows, p=[0.5, 0.3, 0.2])
    price = (width * length * rng.lognormal(5 + 0.4 * (zone == "a"), 0.3)).round(-2)
    area, rate = (width * length).round(), (price / (width * length).round()).round(2)
    area = np.where(rng.random(rows) < 0.02, area * rng.choice([0.1, 10], rows), area).round()
    rate = np.where(rng.random(rows) < 0.03, rng.permutation(rate), rate)
    columns = {"width": width, "length": length, "area": area, "price": price, "rate": rate}
    return pd.DataFrame({**columns, "zone": zone})


def near_miss(plots: pd.DataFrame) -> float:
    """The share of rows whose area or rate is within a tenth of what it should be, and not that."""
    off = np.abs(plots["area"] - plots["width"] * plots["length"])
    missed = (off > 0.51) & (off < 0.1 * plots["area"])
    off = np.abs(plots["rate"] - plots["price"] / plots["area"])
    return float((missed | ((off > 0.0051) & (off < 0.1 * plots["rate"]))).mean())


def graded(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Loans: a grade by the score, a class by the income, and whether the balance is below zero; rates go by grades."""
    score, income = rng.normal(600, 80, rows).round(1), rng.lognormal(10.3, 0.6, rows).round(2)
    balance = (rng.normal(2_000, 3_000, rows) + 5 * (score - 600)).round(2)
    grade = np.searchsorted(GRADES, score, "right")
    columns = {"score": score, "grade": np.array([*"EDCBA"])[grade], "income": income}
    columns["class"] = np.array(["low", "middle", "high"])[np.searchsorted(CLASSES, income, "right")]
    rate = (18 - 2.5 * grade + rng.normal(0, 1, rows)).round(2)
    return pd.DataFrame({**columns, "balance": balance, "overdrawn": balance < 0, "rate": rate})


def misgraded(graded: pd.DataFrame) -> float:
    """The share of rows whose grade or class is not that of the score or income, or that are overdrawn and are not."""
    wrong = graded["grade"] != np.array([*"EDCBA"])[np.searchsorted(GRADES, graded["score"], "right")]
    classes = np.array(["low", "middle", "high"])[np.searchsorted(CLASSES, graded["income"], "right")]
    return float((wrong | (graded["class"] != classes) | (graded["overdrawn"] != (graded["balance"] < 0))).mean())


def pupils(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Pupils: the codes of their schools in three years; many move, or come later, and marks depend on the school."""
    first = rng.integers(1, 81, rows)
    second = np.where(rng.random(rows) < 0.35, rng.integers(1, 81, rows), first)
    third = np.where(rng.random(rows) < 0.35, rng.integers(1, 81, rows), second)
    there = {1: rng.random(rows) < 0.75, 2: rng.random(rows) < 0.85, 3: rng.random(rows) < 0.95}
    columns = {}
    for year, school in enumerate((first, second, third), 1):
        columns[f"school {year}"] = np.where(there[year], school, np.nan)
        columns[f"mark {year}"] = np.where(
            there[year], (rng.normal(60, 12, rows) + 8 * np.sin(7.0 * school)).round(), np.nan
        )
    return pd.DataFrame(columns)


def moved(pupils: pd.DataFrame) -> float:
    """The share of rows with a school next to that of the year before."""
    step = np.abs(np.diff(pupils[[f"school {year}" for year in (1, 2, 3)]].to_numpy(), axis=1))
    return float((step == 1).any(axis=1).mean())


def bills(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Bills: what four things cost, of which some are often nothing, and the total, but for some rows."""
    plan = rng.choice(list("abc"), rows, p=[0.5, 0.3, 0.2])
    size = rng.normal(4.5 + 0.5 * (plan == "a"), 0.6, rows)
    parts = {name: np.exp(size + rng.normal(0, 0.6, rows)).round(2) for name in ("visits", "drugs", "travel", "aids")}
    for name, share in (("drugs", 0.8), ("travel", 0.4), ("aids", 0.3)):
        parts[name] *= rng.random(rows) < share
    total = np.sum(list(parts.values()), axis=0).round(2)
    total = np.where(rng.random(rows) < 0.03, rng.permutation(total), total)
    return pd.DataFrame({"plan": plan, **parts, "total": total})


def unadded(bills: pd.DataFrame) -> float:
    """The share of rows whose total is within a tenth of the sum, and not that."""
    off = np.abs(bills["total"] - bills[["visits", "drugs", "travel", "aids"]].sum(axis=1))
    return float(((off > 0.0051) & (off < 0.1 * bills["total"])).mean())


def meters(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Meters: what was used, at which of 300 tariffs, what that cost and its logarithm, all floats of 32 bits."""
    user = rng.integers(0, 3, rows)
    tariffs = np.random.default_rng(0).lognormal(-1.3, 0.3, 300)
    used = rng.lognormal(4 + user, 0.7).round(1).astype(np.float32)
    rate = tariffs[np.minimum(rng.geometric(0.01, rows) + 20 * user, 299)].astype(np.float32)
    columns = {"used": used, "rate": rate, "cost": used * rate, "log": np.log(used * rate)}
    wide = {name: values.astype(np.float64) for name, values in columns.items()}
    return pd.DataFrame({"user": np.array(["home", "shop", "works"])[user], **wide})


def unread(meters: pd.DataFrame) -> float:
    """The share of rows with a tariff that there is not, or a cost that is no float of 32 bits, or wrong."""
    known = np.isin(meters["rate"], np.random.default_rng(0).lognormal(-1.3, 0.3, 300).astype(np.float32))
    cost = meters["cost"].to_numpy()
    wrong = (cost.astype(np.float32) != cost) | (np.abs(cost / (meters["used"] * meters["rate"]) - 1) > 2e-7)
    return float((~known | wrong).mean())


def terms() -> tuple[np.ndarray, np.ndarray]:
    """A bank's rates of interest by grade and month, in percent, and its fees by purpose and channel."""
    rng = np.random.default_rng(0)
    rates = np.linspace(5, 29, 30).round(2)[:, None] + np.repeat([0.0, 0.01, 0.35], 2) * rng.integers(1, 3, (30, 1))
    return rates.round(2), rng.choice(np.arange(2, 12) * 5.0, (8, 3))


def lending(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Loans of a bank: riskier ones are larger and longer; what is paid each month returns them, up to a cent."""
    rates, fees = terms()
    grade = (30 * rng.beta(1.3, 2.2, rows)).astype(int)
    month, purpose, channel = rng.integers(0, 6, rows), rng.integers(0, 8, rows), rng.choice(3, rows, p=[0.6, 0.3, 0.1])
    amount = (rng.lognormal(9 + 0.01 * grade, 0.6).round(-2)).clip(1_000, 40_000)
    length = np.where(rng.random(rows) < 0.2 + 0.02 * grade, 60, 36)
    rate = rates[grade, month]
    names = {
        "grade": np.char.add(np.array([*"ABCDEF"])[grade // 5], (grade % 5 + 1).astype(str)),
        "month": np.array(["January", "February", "March", "April", "May", "June"])[month],
        "purpose": np.char.add("purpose ", purpose.astype(str)),
        "channel": np.array(["branch", "phone", "web"])[channel],
    }
    paid = np.ceil(100 * annuity(amount, rate, length)) / 100
    columns = {"amount": amount, "length": length, "rate": rate, "paid": paid, "fee": fees[purpose, channel]}
    return pd.DataFrame({**names, **columns})


def annuity(amount: np.ndarray, rate: np.ndarray, months: np.ndarray) -> np.ndarray:
    """What is paid each month at a yearly rate in percent."""
    monthly = rate / 1_200
    paid: np.ndarray = amount * monthly / (1 - (1 + monthly) ** -months)
    return paid


def unlent(lending: pd.DataFrame) -> float:
    """The share of rows of which the rate, the fee or the payment is not the bank's."""
    rates, fees = terms()
    grade = (
        5 * lending["grade"].str[0].map({name: i for i, name in enumerate("ABCDEF")})
        + lending["grade"].str[1].astype(int)
        - 1
    )
    month = lending["month"].map({"January": 0, "February": 1, "March": 2, "April": 3, "May": 4, "June": 5})
    channel = lending["channel"].map({"branch": 0, "phone": 1, "web": 2})
    wrong = (lending["rate"] - rates[grade, month]).abs() > 1e-6
    wrong |= lending["fee"] != fees[lending["purpose"].str[8:].astype(int), channel]
    due = annuity(*(lending[name].to_numpy() for name in ("amount", "rate", "length")))
    return float((wrong | ((lending["paid"] - due - 0.005).abs() > 0.0051)).mean())


def mortgages(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Mortgages: three of ten are 80 % of the price, others another round share; the cautious have a larger income."""
    price = rng.lognormal(12, 0.4, rows).round(-2)
    part = rng.choice([0, *SHARES], rows, p=[0.45, 0.1, 0.3, 0.1, 0.05])
    part = np.where(part > 0, part, 0.25 + 0.75 * rng.beta(2.5, 1.5, rows))
    income = (price * rng.lognormal(-1, 0.3, rows) * (1.2 - part / 2)).round(-2)
    refused = rng.random(rows) < 0.6 * part**2
    return pd.DataFrame({"loan": (part * price).round(), "price": price, "income": income, "refused": refused})


def near_share(mortgages: pd.DataFrame) -> float:
    """The share of rows whose loan is within two thousandths of a round share of the price, and not that."""
    shares = np.outer(SHARES, mortgages["price"])
    off = np.abs(mortgages["loan"].to_numpy() - shares)
    return float(((off <= 0.002 * shares) & (off > 0.5)).any(axis=0).mean())


def stays(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Stays in a hospital: the older are there longer; how many hours are noted, of a twentieth another's."""
    days = rng.integers(0, 365 * 80, rows)
    born = pd.Series(pd.Timestamp("1935-01-01") + pd.to_timedelta(days, unit="D"))
    came = pd.Series(pd.Timestamp("2016-01-01") + pd.to_timedelta(rng.integers(0, 60 * 24 * DAYS, rows), unit="min"))
    minutes = (60 * rng.gamma(1.5, 40 * (1.6 - days / (365 * 80)), rows)).astype(int) + 60
    went = came + pd.to_timedelta(minutes, unit="min")
    hours = (minutes / 60).round(1)
    noted = np.where(rng.random(rows) < 0.05, rng.permutation(hours), hours)
    ward = np.where(rng.random(rows) < 0.2, "surgery", np.where(born.dt.year > 1998, "children", "medicine"))
    cost = (18 * hours * rng.lognormal(0, 0.2, rows) * np.where(ward == "surgery", 3, 1)).round(2)
    columns = {"born": born, "age": full_years(came, born), "came": came, "went": went, "hours": noted}
    return pd.DataFrame({**columns, "ward": ward, "cost": cost})


def full_years(later: "pd.Series[Any]", earlier: "pd.Series[Any]") -> "pd.Series[Any]":
    """Years that are over."""
    days = [100 * moments.dt.month + moments.dt.day for moments in (later, earlier)]
    return later.dt.year - earlier.dt.year - (days[0] < days[1])


def untimely(stays: pd.DataFrame) -> float:
    """The share of rows with another age, or with hours that are within a tenth of the stay, and not that."""
    hours = (stays["went"] - stays["came"]) / pd.Timedelta(hours=1)
    off = (stays["hours"] - hours).abs()
    missed = (off > 0.0501) & (off < 0.1 * hours)
    return float((missed | (full_years(stays["came"], stays["born"]) != stays["age"])).mean())


BROKEN: dict[str, Callable[[pd.DataFrame], float]] = {
    "staff": broken,
    "logged": lambda table: float(when(table).isna().mean()),
    "spread": twofold,
    "customers": nowhere,
    "plots": near_miss,
    "graded": misgraded,
    "pupils": moved,
    "bills": unadded,
    "meters": unread,
    "lending": unlent,
    "mortgages": near_share,
    "stays": untimely,
}
"""The share of rows with what no row of a table has; of plots, pupils, bills and stays, hardly any."""
MADE_UP: dict[str, Callable[[int, np.random.Generator], pd.DataFrame]] = {
    "orders": orders,
    "games": games,
    "sales": sales,
    "staff": staff,
    "rides": rides,
    "air": air,
    "logged": logged,
    "spread": spread,
    "customers": customers,
    "plots": plots,
    "graded": graded,
    "pupils": pupils,
    "bills": bills,
    "meters": meters,
    "lending": lending,
    "mortgages": mortgages,
    "stays": stays,
}
TABLES = ("magic", *MADE_UP)


def tables(name: str) -> tuple[pa.Table, pa.Table]:
    """Training and test rows."""
    if name not in MADE_UP:
        return split(name)
    whole = MADE_UP[name](ROWS + TEST_ROWS, np.random.default_rng(0))
    return to_arrow(whole[:ROWS].reset_index(drop=True)), to_arrow(whole[ROWS:].reset_index(drop=True))


def measure(name: str) -> dict[str, float]:
    """Fit one table and score it."""
    torch.set_num_threads(1)
    train, test = tables(name)
    synthesizer = Synthesizer(seed=0, device="cpu").fit(train)
    synthetic = synthesizer.sample(train.num_rows, seed=0)
    given = [with_parts(table) for table in (train, test, synthetic)]
    as_number = {"customers": "code", "lending": "rate"}.get(name)  # for both ways the same
    overrides = None if as_number is None else {as_number: {"kind": "number"}}
    scores = judged(Schema.infer(given[0], overrides=overrides), *given)
    return scores | ({"broken": BROKEN[name](synthetic.to_pandas())} if name in BROKEN else {})


def with_parts(table: pa.Table) -> pa.Table:
    """Add hour, weekday and month of a moment to the hour."""
    if "day" in table.column_names:
        moments = pa.chunked_array([pa.array(when(table.to_pandas()))])
    elif "when" in table.column_names:
        moments = table["when"]
    else:
        return table
    parts = {"hour": pc.hour, "weekday": pc.day_of_week, "month": pc.month}
    for part, of in parts.items():
        table = table.append_column(part, of(moments))
    return table


def markdown(found: dict[str, dict[str, dict[str, float]]]) -> str:
    """Lay the scores out as a table."""
    heads = [*(SCORES[key][0] for key in KEYS), "broken %"]
    lines = ["| | " + " | ".join(heads) + " |", "|---|" + "--:|" * len(heads)]
    for name, ways in found.items():
        for way, scores in ways.items():
            cells = [f"{scale * scores[key]:.{digits}f}" for key in KEYS for _, scale, digits in (SCORES[key],)]
            cells.append(f"{100 * scores['broken']:.2f}" if "broken" in scores else "")
            lines.append(f"| `{name}`, {way} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure the tables named on the command line."""
    run_against("What relations found in the data are worth.", Path(__file__), TABLES, measure, markdown)


if __name__ == "__main__":
    main()
