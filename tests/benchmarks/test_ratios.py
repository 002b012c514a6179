"""The ratios by which a slower part is found."""

from pathlib import Path

import pandas as pd
import pytest

from benchmarks import ratios


class Parts:
    """Parts that are as they are measured, without pictures."""

    def __getattr__(self, name: str) -> object:
        return lambda: name


def run(
    monkeypatch: pytest.MonkeyPatch, folder: Path, costs: dict[str, float], *arguments: str
) -> None:
    monkeypatch.setattr(ratios, "RESULT", folder / "ratios.csv")
    monkeypatch.setattr(ratios, "Parts", lambda path: Parts())
    monkeypatch.setattr(ratios, "cost", lambda work: costs.get(work(), 1.0))
    monkeypatch.setattr("sys.argv", ["ratios", *arguments])
    ratios.main()


def test_a_part_that_costs_more_than_before_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, tmp_path, {"impute": 2.0}, "--write")
    written = pd.read_csv(tmp_path / "ratios.csv").set_index("part")["ratio"]
    assert written["impute"] == 2 and written["read"] == 1
    run(monkeypatch, tmp_path, {"impute": 2.5})
    assert "no part costs more" in capsys.readouterr().out
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, tmp_path, {"impute": 2.7, "read": 0.5})
    assert caught.value.code == 1
    said = capsys.readouterr().out
    assert "SLOWER: impute costs 1.35 times" in said and "SLOWER: read" not in said


def test_each_machine_has_rows_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ratios, "machine", lambda: "one")
    run(monkeypatch, tmp_path, {"impute": 2.0}, "--write")
    monkeypatch.setattr(ratios, "machine", lambda: "two")
    run(monkeypatch, tmp_path, {"impute": 2.5})
    assert "no rows of this machine" in capsys.readouterr().out
    run(monkeypatch, tmp_path, {"impute": 1.0}, "--write")
    written = pd.read_csv(tmp_path / "ratios.csv").groupby("machine")["ratio"].max()
    assert written.to_dict() == {"one": 2.0, "two": 1.0}
    with pytest.raises(SystemExit):
        run(monkeypatch, tmp_path, {"impute": 1.4})
