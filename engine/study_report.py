"""`evaluate.py study-report`: what people who took a study preferred, and how sure that is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from scipy.stats import binomtest

from pix2pixhd.engine.study import TIMES
from pix2pixhd.options.fields import Range, fits
from pix2pixhd.options.study_options import StudyReportOptions
from pix2pixhd.pages.html import refuse_other
from pix2pixhd.pages.study_report_page import Person, Preference, StudyReport, write_report_page
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.files import replacing
from pix2pixhd.util.words import counted

FORMAT = "pix2pixhd study 1"
OF_ALL = ("study", "x", "y", "timed")  # sessions of a study
HEAD = {"study": str, "x": str, "y": str, "session": str, "timed": bool, "answers": list}
ANSWER = {"name": str, "check": bool, "choice": str, "interrupted": bool}
MEASURED = Annotated[float, Range(0)]
NUMBERS = {"shown_ms": MEASURED, "answer_ms": MEASURED, "asked_seconds": float | None}


def run(options: StudyReportOptions) -> None:
    """Print the report, and write its page.

    Raises:
        UserError: a file is at fault, or the folder has another page.
    """
    sessions, notes = read_sessions([Path(file) for file in options.files])
    report = make_report(sessions, options.max_failed)
    report.notes[:0] = notes
    folder = Path(options.out)
    refuse_other(folder / "index.html", "study-report")
    with replacing(folder / "report.json") as file:
        file.write(json.dumps(report.figures(), indent=1).encode())
    write_report_page(folder / "index.html", report)
    print(report.text())
    print(f"report: {folder / 'index.html'}")


def read_sessions(files: Iterable[Path]) -> tuple[list[dict[str, Any]], list[str]]:
    """The sessions of one study, each once, and a line for each file that says nothing new.

    Raises:
        UserError: a line for each file that is not a study's, is damaged, or is of another study.
    """
    sessions: dict[str, tuple[Path, dict[str, Any]]] = {}
    problems, notes = [], []
    first: tuple[Path, dict[str, Any]] | None = None
    for file in files:
        try:
            session = _read(file)
        except UserError as error:
            problems += error.problems
            continue
        first = first or (file, session)
        if unlike := [of for of in OF_ALL if session[of] != first[1][of]]:
            here, there = session[unlike[0]], first[1][unlike[0]]
            told = f"{unlike[0]} is {here!r}, but {there!r} in {first[0]}"
            problems.append(f"{file}: {told}; report on one study at a time")
            continue
        # Saved when stopped, and again at the end: the one with more answers holds the other.
        earlier = sessions.get(session["session"])
        if earlier is None:
            sessions[session["session"]] = file, session
            continue
        kept, dropped = sorted(
            (earlier, (file, session)), key=lambda one: len(one[1]["answers"]), reverse=True
        )
        sessions[session["session"]] = kept
        notes.append(f"{dropped[0]}: left out, the same session as {kept[0]}")
    if problems:
        raise UserError(problems)
    return [session for _, session in sessions.values()], notes


def make_report(sessions: list[dict[str, Any]], max_failed: float) -> StudyReport:
    """Count the answers of those who failed no more than `max_failed`, a share, of their checks."""
    people, kept = [], []
    interrupted = 0
    for session in sessions:
        checks = [answer for answer in session["answers"] if answer["check"]]
        failed = sum(answer["choice"] == "broken" for answer in checks)
        left_out = failed > max_failed * len(checks)
        pairs = [answer for answer in session["answers"] if not answer["check"]]
        # Seen for how long, nobody knows.
        sound = [one for one in pairs if not (session["timed"] and one["interrupted"])]
        for_x = sum(answer["choice"] == "x" for answer in sound)
        people.append(
            Person(session["session"][:8], len(sound), for_x, len(checks), failed, left_out)
        )
        if not left_out:
            kept += sound
            interrupted += len(pairs) - len(sound)
    x, y, timed = (sessions[0][name] for name in ("x", "y", "timed"))
    times = sorted({one["asked_seconds"] for one in kept}) if timed else []
    by_time = [_preference([a for a in kept if a["asked_seconds"] == t], t) for t in times]
    notes = []
    if interrupted:
        notes.append(f"{counted(interrupted, 'answer')} left out: the window was hidden meanwhile")
    return StudyReport(
        sessions[0]["study"], x, y, people, _preference(kept), by_time, max_failed, notes
    )


def _preference(answers: list[dict[str, Any]], seconds: float | None = None) -> Preference:
    """The share of answers for X with its exact (Clopper-Pearson) interval of 95 %."""
    for_x = sum(answer["choice"] == "x" for answer in answers)
    shown = sorted(answer["shown_ms"] / 1000 for answer in answers)
    median = shown[len(shown) // 2] if shown else None
    if not answers:
        return Preference(seconds, 0, 0, 0.0, 1.0, 1.0, median)
    test = binomtest(for_x, len(answers))
    interval = test.proportion_ci(method="exact")
    low, high = float(interval.low), float(interval.high)
    return Preference(seconds, len(answers), for_x, low, high, float(test.pvalue), median)


def _read(file: Path) -> dict[str, Any]:
    try:
        session = json.loads(file.read_text(encoding="utf-8-sig"))  # mail programs add a mark
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); give a result file") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}: is damaged or no JSON; ask for the file again") from error
    if not isinstance(session, dict) or session.get("format") != FORMAT:
        raise UserError(f"{file}: is no result file of a study ({FORMAT!r}); leave it out")
    if wrong := _wrong(session, HEAD):
        raise UserError(f"{file}: is damaged, {wrong}; ask for the file again")
    for number, answer in enumerate(session["answers"], 1):
        if wrong := _wrong_answer(answer, session["timed"]):
            raise UserError(f"{file}: answer {number} is damaged, {wrong}; ask for the file again")
    names = [answer["name"] for answer in session["answers"] if not answer["check"]]
    if twice := [name for name in set(names) if names.count(name) > 1]:
        raise UserError(
            f"{file}: is damaged, {min(twice)} is answered twice; ask for the file again"
        )
    return session


def _wrong_answer(answer: Any, timed: bool) -> str:
    """What is wrong with an answer; empty if nothing is."""
    if not isinstance(answer, dict):
        return f"found {answer!r}"
    if wrong := _wrong(answer, {**ANSWER, **NUMBERS}):
        return wrong
    choices = ("intact", "broken") if answer["check"] else ("x", "y")
    if answer["choice"] not in choices:
        return f"choice is {answer['choice']!r}, not {' or '.join(choices)}"
    if (seconds := answer.get("asked_seconds")) not in (TIMES if timed else (None,)):
        return f"asked_seconds is {seconds!r}"
    return ""


def _wrong(values: Mapping[str, Any], hints: Mapping[str, Any]) -> str:
    for name, hint in hints.items():
        value = values.get(name)
        if not fits(value, hint):
            return f"{name} is {value!r:.40}"
    return ""
