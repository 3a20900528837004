from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from scipy.stats import beta

from pix2pixhd.engine.study_report import run
from pix2pixhd.options.study_options import parse_study_report
from pix2pixhd.util.errors import UserError

NAN = float("nan")


def answer(choice: str, seconds: float | None = None, **changes) -> dict:
    numbers = {"asked_seconds": seconds, "shown_ms": 1000 * (seconds or 2), "answer_ms": 300.5}
    check = choice in ("intact", "broken")
    return {
        "check": check,
        "choice": choice,
        "interrupted": False,
        **numbers,
    } | changes


def session(file: Path, answers: list[dict], **changes) -> str:
    head = {"format": "pix2pixhd study 1", "study": "abc", "x": "one", "y": "two", "timed": False}
    named = [{"name": f"s{number}"} | answer for number, answer in enumerate(answers)]
    file.write_text(json.dumps({**head, "session": file.stem, "answers": named} | changes))
    return str(file)


def report(tmp_path: Path, *words: str) -> dict:
    run(parse_study_report([*words, "--out", f"{tmp_path}/report"]))
    return json.loads((tmp_path / "report/report.json").read_text())


def test_the_preference_with_its_exact_interval(tmp_path, capsys) -> None:
    a = session(tmp_path / "a.json", [answer("x")] * 7 + [answer("y")] * 2)
    b = session(tmp_path / "b.json", [answer("x"), answer("intact")])
    found = report(tmp_path, a, b)
    total = found["total"]
    assert (total["answers"], total["for_x"]) == (10, 8)
    # Clopper and Pearson's interval by the beta distribution's quantiles.
    assert total["low"] == pytest.approx(beta.ppf(0.025, 8, 3))
    assert total["high"] == pytest.approx(beta.ppf(0.975, 9, 2))
    assert total["p"] == pytest.approx(2 * (45 + 10 + 1) / 1024)
    printed = capsys.readouterr().out
    assert "2 of 2 people counted, 10 answers." in printed and "44.4% to 97.5%" in printed
    assert "44.4% to 97.5%" in (tmp_path / "report/index.html").read_text()
    assert Image.open(tmp_path / "report/preference.png").size == (1080, 480)


def test_by_time_and_without_answers_of_a_hidden_window(tmp_path) -> None:
    answers = [
        answer("x", 0.125),
        answer("y", 0.125),
        answer("x", 8),
        answer("y", 8, interrupted=True),
    ]
    found = report(tmp_path, session(tmp_path / "a.json", answers, timed=True))
    rows = [(row["seconds"], row["answers"], row["for_x"]) for row in found["by_time"]]
    assert rows == [(0.125, 2, 1), (8, 1, 1)]
    assert "1 answer left out" in found["notes"][0]


def test_who_failed_more_checks_than_allowed_is_left_out_and_said(tmp_path, capsys) -> None:
    checks = [answer("broken"), *[answer("intact")] * 3]
    files = [
        session(tmp_path / "careful.json", [answer("x"), *checks]),
        session(tmp_path / "careless.json", [answer("y")] * 5 + [answer("broken")] * 2),
    ]
    found = report(tmp_path, *files)
    assert (found["total"]["answers"], found["failed_checks"]) == (1, 0.5)
    assert (
        "Left out as they failed more than 25% of the checks: 1 person" in capsys.readouterr().out
    )
    assert report(tmp_path, *files, "--max_failed", "1")["total"]["answers"] == 6
    nobody = report(tmp_path, files[1])
    assert (nobody["total"]["answers"], nobody["total"]["share"]) == (0, None)


def test_a_session_saved_twice_counts_once(tmp_path) -> None:
    early = session(tmp_path / "early.json", [answer("x")], session="s")
    late = session(tmp_path / "late.json", [answer("x")] * 2, session="s")
    for files in ((early, late), (late, early)):
        found = report(tmp_path, *files)
        assert found["total"]["answers"] == 2
        assert found["notes"] == [f"{early}: left out, the same session as {late}"]


def test_a_mail_programs_mark_is_passed_over(tmp_path) -> None:
    file = Path(session(tmp_path / "a.json", [answer("x")]))
    file.write_text(file.read_text(), encoding="utf-8-sig")
    assert report(tmp_path, str(file))["total"]["answers"] == 1


def test_a_studys_page_is_not_replaced(tmp_path) -> None:
    file = session(tmp_path / "a.json", [answer("x")])
    assert [report(tmp_path, file) for _ in range(2)]
    page = tmp_path / "report/index.html"
    page.write_text("a study")
    (tmp_path / "report/report.json").unlink()
    with pytest.raises(UserError, match="would be lost; give another --out"):
        report(tmp_path, file)
    assert page.read_text() == "a study" and not (tmp_path / "report/report.json").exists()


def test_files_at_fault_get_a_line_each(tmp_path) -> None:
    good = session(tmp_path / "good.json", [answer("x")])
    cut = tmp_path / "cut.json"
    cut.write_text(Path(good).read_text()[:-9])
    (tmp_path / "theirs.json").write_text("[1]")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    files = {
        str(cut): "is damaged or no JSON",
        str(tmp_path / "theirs.json"): "is no result file of a study",
        str(tmp_path / "missing.json"): "cannot be read (No such file",
        session(tmp_path / "other.json", [], study="xyz"): f"study is 'xyz', but 'abc' in {good}",
        session(tmp_path / "head.json", [], timed=1): "is damaged, timed is 1",
        session(tmp_path / "odd.json", [answer("z")]): "answer 1 is damaged, choice is 'z'",
        session(tmp_path / "text.json", [answer("x", shown_ms="2")]): "shown_ms is '2'",
        session(tmp_path / "c.json", [], x="C"): f"x is 'C', but 'one' in {good}",
        session(tmp_path / "timed.json", [], timed=True): f"timed is True, but False in {good}",
        session(tmp_path / "time.json", [answer("x", 1)]): "asked_seconds is 1",
        session(tmp_path / "none.json", [answer("x")], timed=True): "asked_seconds is None",
        session(tmp_path / "t.json", [answer("x", 3.3)], timed=True): "asked_seconds is 3.3",
        session(tmp_path / "past.json", [answer("x", shown_ms=-5)]): "shown_ms is -5",
        session(tmp_path / "inf.json", [answer("x", answer_ms=1e999)]): "answer_ms is inf",
        session(tmp_path / "nan.json", [answer("x", shown_ms=NAN)]): "shown_ms is nan",
        session(tmp_path / "2.json", [answer("x", name="p")] * 2): "p is answered twice",
        str(tmp_path / "deep.json"): "is damaged or no JSON",
    }
    with pytest.raises(UserError) as error:
        report(tmp_path, good, *files)
    assert len(error.value.problems) == len(files)
    for line, (file, complaint) in zip(error.value.problems, files.items(), strict=True):
        assert line.startswith(file) and complaint in line
    with pytest.raises(UserError, match="no result files"):
        parse_study_report([])
