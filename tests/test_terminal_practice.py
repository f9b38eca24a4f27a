"""What a terminal shows of conditions, fan-out, rounds, fallbacks, approvals and aborts: golden files.

GFLOW_UPDATE_GOLDEN=1 writes them anew, to be read before use.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import Popen, run
from typing import Any

import pytest

from gflow.cli.running import exit_code
from gflow.events import START as ALL
from gflow.events import (
    Answered,
    Asked,
    Decided,
    Done,
    Event,
    Opened,
    Reset,
    Reverted,
    Skipped,
    Started,
    StatusChanged,
    Stopped,
    Tripped,
    Undone,
)
from gflow.model import Call, EachSource, FanOut, Graph, Param, Question, Repeat, Rung, Status, Undo
from gflow.terminal import Listed, describe, listing, summary
from tests.test_terminal import (
    NOWHERE,
    START,
    Story,
    assert_golden,
    graph,
    group,
    nothing,
    step,
    terminal,
    watched,
)

CALL = Call(nothing)
UNDO = Undo(nothing, (), "Take it back")
EACH = FanOut("regions", "region", tolerate=1)
ITEM = (Param("region", EachSource("regions")),)


def practice() -> Graph:
    """Return a workflow in which everything happens that this page is about."""
    return graph(
        group(
            "flow", "stage", ["regions", "check", "extra", "docs", "fix", "rollout", "ship"], is_empty=True
        ),
        step("regions", "planner", "flow"),
        step("check", "tester", "flow", each=EACH, params=ITEM),
        step("extra", group="flow", when=CALL),
        group("docs", "stage", ["words", "links"], "flow", when=CALL),
        step("words", group="docs"),
        step("links", group="docs"),
        group("fix", "stage", ["edit", "review"], "flow", repeat=Repeat(CALL, 3)),
        step("edit", "coder", "fix", scope=("fix",)),
        step(
            "review",
            "reviewer",
            "fix",
            scope=("fix",),
            rungs=(Rung(CALL, "cached"), Rung(CALL, "rough", True)),
        ),
        group("rollout", "stage", ["deploy"], "flow", each=EACH, params=ITEM, is_empty=True),
        step("deploy", group="rollout", scope=("rollout",), undo=UNDO),
        step("ship", "captain", "flow", ask=Question("Ship {it}?", "ok"), effects="irreversible"),
        name="practice",
    )


def done(path: str, preview: str = "", degraded: str | None = None) -> Done:
    return Done(path, NOWHERE, preview, 0.5, degraded)


def failed(path: str, decision: str = "stop", message: str = "no route") -> Tripped:
    frames: list[list[Any]] = [["flow.py", 7, path.partition("[")[0], "call()"]]
    return Tripped(path, "ValueError", message, frames, "medium", decision, None, 0.5)


def started(*paths: str, rung: int = 0) -> list[Event]:
    return [Started(path, 1 + rung, rung) for path in paths]


def checked(story: Story, n: int = 10) -> Story:
    """Let the check run over its items; one fails and is tolerated."""
    story.takes("regions").after(0.0, Opened("check", n), *started(*(f"check[{i}]" for i in range(n))))
    story.after(1.0, *(done(f"check[{i}]") for i in range(1, n)))
    story.after(0.5, failed("check[0]", "handled"))
    return story.after(0.0, Done("check", None, f"{n} items, 1 failed", 0.0))


def skipped(story: Story) -> Story:
    """Let a step and a group be skipped."""
    no = "its condition says no"
    story.after(0.0, Decided("extra", "when", False), Skipped("extra", no))
    inside = [Skipped(name, "docs was skipped") for name in ("words", "links")]
    return story.after(0.0, Decided("docs", "when", False), Skipped("docs", no), *inside)


def fixed(story: Story) -> Story:
    """Let the group run twice; in the second round a fallback, and then the degraded mode, stand in."""
    story.takes("edit~1", "review~1").after(0.0, *started("fix~1"))
    story.after(0.1, done("fix~1"), Decided("fix~1", "until", False)).takes("edit~2")
    story.after(0.0, *started("review~2")).after(0.5, failed("review~2", "next"))
    story.after(0.0, *started("review~2", rung=1)).after(0.5, failed("review~2", "next"))
    story.after(0.0, *started("review~2", rung=2)).after(0.1, done("review~2", "fine", "rough stands in"))
    story.after(0.1, done("fix~2"), Decided("fix~2", "until", True))
    return story.after(0.0, Done("fix", None, "2 rounds", 0.0))


def rolled_out(story: Story) -> Story:
    story.after(0.0, Opened("rollout", 2, ["eu", "us"]), *started("deploy[eu]", "deploy[us]"))
    story.after(2.0, done("deploy[eu]"), Done("rollout[eu]", None, "", 0.0), done("deploy[us]"))
    return story.after(0.0, Done("rollout[us]", None, "", 0.0), Done("rollout", None, "2 items", 0.0))


def asked(story: Story) -> Story:
    return story.after(0.0, Asked("ship", "Ship 1.2.0?", "d1", START + 3600))


def squeezed(stream: Any) -> str:
    """Return what was written, with single spaces."""
    return " ".join(stream.getvalue().split())


def begun(**more: Any) -> tuple[Story, Any, Any]:
    page, stream = terminal(**more)
    return Story(practice(), inputs={}).begin(page.listener), page, stream


def test_a_run_of_everything() -> None:
    """A fan-out has one line, a skip says why, rounds are counted, what stands in is named."""
    story, page, stream = begun()
    rolled_out(fixed(skipped(checked(story))))
    asked(story).after(5.0, Answered("ship", "approved", "ann@desk", "looks good", "d1", 0))
    story.takes("ship").after(0.0, done("flow"), StatusChanged("completed"))
    page.conclude(story.snapshot())
    assert_golden("practice", stream.getvalue())
    assert_golden("practice_show", describe(story.snapshot(), zone=UTC) + "\n")


def test_much_is_told_when_asked_for() -> None:
    """With much told, a condition that says yes has a line, too; single items still have none."""
    story, page, stream = begun(verbose=True)
    story.after(0.0, Decided("extra", "when", True)).takes("extra")
    story.after(0.0, Opened("check", 2), *started("check[0]"))
    page.close()
    assert "▸ extra its condition says yes" in squeezed(stream)
    assert "check[0]" not in stream.getvalue()


def test_a_run_that_waits() -> None:
    """A run that ends waiting shows the question and both commands; `runs` and `show` have them, too."""
    story, page, stream = begun()
    rolled_out(fixed(skipped(checked(story))))
    asked(story).after(0.0, StatusChanged("waiting"))
    waits = story.snapshot()
    page.conclude(waits)
    now = datetime.fromtimestamp(START, UTC) + timedelta(minutes=5)
    one = Listed(
        "k3f9", "practice", "waiting", datetime.fromtimestamp(START, UTC), 12.0, asks=("ship[eu]", "b")
    )
    listed = listing([one, replace(one, asks=()), replace(one, status="rejected")], now)
    text = f"{stream.getvalue()}\n--- show\n{describe(waits, zone=UTC)}\n\n--- runs\n{listed}\n"
    assert_golden("practice_waiting", text)


def test_a_question_while_others_go_on() -> None:
    """While other steps run, the question comes with its commands, and stays in the live area."""
    story, page, stream = begun()
    story.after(0.0, *started("regions"))
    asked(story)
    page.close()
    assert "? ship captain Ship 1.2.0? (no answer in 1h 00m means no)" in squeezed(stream)
    assert "    gflow approve k3f9 ship, or reject k3f9 ship" in stream.getvalue()


def test_a_rejection() -> None:
    """A rejected run says who said no to what, and how to be asked again."""
    story, page, stream = begun()
    asked(checked(story)).after(5.0, Answered("ship", "rejected", "ann@desk", "not on a Friday", "d1", 0))
    message = "ann@desk said no: Ship 1.2.0? (not on a Friday)"
    no = Tripped("ship", "Rejected", message, [], "medium", "stop", None, 0.0)
    story.after(0.0, no, StatusChanged("rejected"))
    page.conclude(story.snapshot())
    assert_golden("practice_rejected", stream.getvalue())


@pytest.mark.parametrize("verdict", ["expired", "approved"])
def test_answers(verdict: str) -> None:
    """Whoever answered is named; nobody is, when nobody did in time."""
    story, page, stream = begun()
    asked(story).after(5.0, Answered("ship", verdict, "" if verdict == "expired" else "ann", "", "d1", 0))
    page.close()
    said = {"expired": "✗ ship captain nobody said yes in time", "approved": "? ship captain approved by ann"}
    assert said[verdict] in squeezed(stream)


def aborted(story: Story) -> Story:
    """Let an item of the rollout fail with high severity while others run."""
    checked(story).after(0.0, Opened("rollout", 3), *started("deploy[0]", "deploy[1]", "deploy[2]"))
    story.after(1.0, done("deploy[0]", "eu is up"))
    story.after(0.5, failed("deploy[1]", "abort", "it burns"))
    story.after(0.1, Stopped("deploy[2]", "cancelled"))
    steps = list(story.graph.nodes)
    return story.after(
        0.0, Reset("abort", ALL, 1, steps), StatusChanged("rolling_back", "abort: deploy[1]: E")
    )


def test_an_abort() -> None:
    """An abort says what is cancelled, then what is undone; at its end why, and what was left."""
    story, page, stream = begun()
    aborted(story).after(1.0, Undone("deploy[0]"), Undone("deploy[1]"), Undone("deploy[2]"))
    story.after(0.0, Reverted(list(story.state.slots)), StatusChanged("rolled_back", "abort: deploy[1]: E"))
    page.conclude(story.snapshot())
    assert_golden(
        "practice_aborted", stream.getvalue() + "\n--- show\n" + describe(story.snapshot(), zone=UTC) + "\n"
    )


def test_an_abort_that_is_incomplete() -> None:
    """An undo that stays failed is named, with the commands that try again and pass over it."""
    story, page, stream = begun()
    aborted(story).after(
        1.0, Undone("deploy[0]", "OSError: no way"), Undone("deploy[1]"), Undone("deploy[2]")
    )
    reason = "abort: deploy[1]: E; left: deploy[0]"
    story.after(0.0, StatusChanged("rollback_incomplete", reason))
    page.conclude(story.snapshot())
    assert_golden("practice_incomplete", stream.getvalue())


def test_an_abort_that_waits_for_a_thread() -> None:
    """Where a thread goes on, nothing is undone yet; the step is named, and the command that goes on."""
    story = Story(practice(), inputs={}).begin()
    story.after(0.0, *started("regions", "extra")).after(1.0, failed("extra", "abort"))
    steps = list(story.graph.nodes)
    story.after(9.0, Reset("abort", ALL, 1, steps), StatusChanged("rolling_back", "abort: extra: E: no"))
    stuck = "`regions` has not ended, and nothing is undone before it has"
    assert summary(story.snapshot()).splitlines() == [
        f"aborted, not yet rolled back: {stuck} · run k3f9",
        "  flow.py:7, in extra",
        "    call()",
        "  ValueError: no route",
        "  go on       gflow resume k3f9",
    ]


def test_a_fan_out_that_fails() -> None:
    """Five of its items have lines, the rest is counted; the end names the first, and some of the others."""
    story, page, stream = begun()
    story.takes("regions").after(0.0, Opened("check", 20), *started(*(f"check[{i}]" for i in range(20))))
    story.after(1.0, *(failed(f"check[{i}]", "handled" if i == 0 else "stop", f"no {i}") for i in range(8)))
    story.after(1.0, *(done(f"check[{i}]") for i in range(8, 20)))
    story.after(0.0, failed("check", message="8 of 20 items failed; check[0]: no 0"), StatusChanged("failed"))
    page.conclude(story.snapshot())
    assert_golden(
        "practice_failed", stream.getvalue() + "\n--- show\n" + describe(story.snapshot(), zone=UTC) + "\n"
    )


def test_the_live_area_of_items() -> None:
    """All items of a fan-out have one line in the area and in the heartbeat; a question has one, too."""
    story = Story(practice(), inputs={})
    view = watched(story)
    story.listener = view.tell
    story.takes("regions").after(0.0, Opened("check", 10), *started(*(f"check[{i}]" for i in range(6))))
    story.after(1.0, done("check[0]"), done("check[1]"), failed("check[2]", "handled"))
    shown = ["--- items", *view.area(story.clock.now() + 1, 0), view.heartbeat(story.clock.now() + 1)]
    story.after(0.0, Opened("rollout", 3), *started("deploy[0]"))
    asked(story)
    shown += ["--- two fan-outs and a question", *view.area(story.clock.now() + 2, 1)]
    shown += [view.heartbeat(story.clock.now() + 2)]
    assert_golden("practice_live", "\n".join(shown) + "\n")


def test_nothing_is_kept_of_items_that_have_ended() -> None:
    """A crowd of items leaves nothing behind in the view but numbers."""
    story = Story(practice(), inputs={})
    view = watched(story)
    story.listener = view.tell
    story.after(0.0, Opened("check", 500))
    for number in range(500):
        story.after(0.0, *started(f"check[{number}]")).after(0.1, done(f"check[{number}]"))
    held = [value for value in vars(view).values() if isinstance(value, dict | set | list)]
    assert max(map(len, held)) < 50


def test_a_resumed_fan_out_goes_on_counting() -> None:
    """A new process counts the items that an earlier one has done."""
    story = Story(practice(), inputs={}).begin()
    story.takes("regions").after(0.0, Opened("check", 4), *started("check[0]"))
    story.after(1.0, done("check[0]"), StatusChanged("interrupted"))
    view = watched(story)
    story.listener = view.tell
    story.after(0.0, *started("check[1]")).after(0.5, done("check[1]")).after(0.0, *started("check[2]"))
    assert "2/4 items · check[2]" in "\n".join(view.area(story.clock.now(), 0))
    assert view.progress(story.clock.now()).partly == 0.5


def test_a_run_is_not_over_while_it_waits() -> None:
    """A run that waits may be answered in the same process: the view goes on."""
    story = Story(practice(), inputs={})
    view = watched(story)
    story.listener = view.tell
    asked(story).after(0.0, StatusChanged("waiting"))
    assert not view.is_over
    yes = Answered("ship", "approved", "ann", "", "d1", 0)
    story.after(1.0, yes, StatusChanged("running", "answered")).takes("ship")
    story.after(0.0, StatusChanged("completed"))
    assert view.is_over


# ---------------------------------------------------------------- a real terminal, and a person

ASKING = """
from typing import Annotated
from gflow import Approval, Ask, stage, task

@task
def make() -> str:
    return "a thing"

@task
def ship(make: str, ok: Annotated[Approval, Ask("Ship {make}?")]) -> str:
    return "shipped"

@stage
def flow(make: str, ship: str) -> str:
    return ship
"""


def at_a_terminal(folder: Path, arguments: Sequence[str], answer: str) -> tuple[int, str]:
    """Run gflow on a terminal of its own, type an answer when it asks, and return what became of it."""
    near, far = os.openpty()
    environ = {
        **os.environ,
        "TERM": "xterm",
        "NO_COLOR": "1",
        "CI": "",
        "GFLOW_STORE": str(folder / ".gflow"),
    }
    environ["PYTHONPATH"] = str(Path(__file__).parents[1])
    command = [sys.executable, "-m", "gflow", *arguments]
    process = Popen(
        command, cwd=folder, stdin=far, stdout=far, stderr=far, env=environ, start_new_session=True
    )
    os.close(far)
    shown, has_answered = b"", False
    try:
        while chunk := _read(near):
            shown += chunk
            if b"[y/n/L]" in shown and not has_answered:
                os.write(near, answer.encode() + b"\n")
                has_answered = True
        return process.wait(), shown.decode()
    finally:
        os.close(near)


def _read(near: int) -> bytes:
    try:
        return os.read(near, 65536)
    except OSError:  # on Linux, the other end is closed
        return b""


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [("y", 0, "completed"), ("n", 6, "rejected: ship"), ("later", 3, "waiting for an approval: ship")],
)
def test_a_person_is_asked(tmp_path: Path, answer: str, code: int, said: str) -> None:
    """On a terminal the run asks; with a yes it goes on in the same process, drawing as before."""
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "asking.py").write_text(ASKING)
    ended, shown = at_a_terminal(tmp_path, ["asking.py"], answer)
    assert ended == code, shown
    assert "ship asks: Ship a thing?" in shown
    assert said in shown
    assert ("✓ ship" in shown) == (answer == "y")


def test_what_waits_is_listed_with_its_command(tmp_path: Path) -> None:
    """`gflow runs` shows how to say yes to what a run waits for; without a terminal nobody is asked."""
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "asking.py").write_text(ASKING)
    environ = {
        **os.environ,
        "GFLOW_STORE": str(tmp_path / ".gflow"),
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    command = [sys.executable, "-m", "gflow"]
    waits = run(
        [*command, "asking.py"], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert waits.returncode == 3, waits.stderr
    listed = run([*command, "runs"], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True)
    assert " ship --resume" in listed.stdout
    assert "approve" in listed.stdout


@pytest.mark.parametrize(("status", "code"), [("rolling_back", 5), ("rejected", 6), ("waiting", 3)])
def test_exit_codes(status: Status, code: int) -> None:
    """A rollback that a living thread holds up is incomplete; a question and a no have codes of their own."""
    waiting = asked(Story(practice(), inputs={}).begin()).snapshot()
    assert exit_code(replace(waiting, status=status)) == code
