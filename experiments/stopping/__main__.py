"""Make the tables of `docs/stopping.md` anew from the JSON files of the experiments."""

from experiments.stopping.tables import PAGE, filled

PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
