"""Tests of gflow.terminal: runs are told to it as a journal would, and what it shows lies in golden files."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gflow import progress
from gflow.clock import VirtualClock
from gflow.errors import Refused
from gflow.events import Claimed, Created, Done, Event, Ref, Started, StatusChanged, Stopped, Tripped
from gflow.model import Frame, Graph, Kind, Node, Progress, Run, Status, StepError, StepState, Undo
from gflow.state import State
from gflow.terminal import Listed, Terminal, View, describe, listing, stats, summary
from gflow.terminal.lines import Columns, failed_text, given
from gflow.terminal.screen import Mode, mode
from gflow.terminal.summary import errors

GOLDEN = Path(__file__).parent / "golden"
START = 1_790_000_000.0  # 2026-09-21 14:13:20 UTC
NOWHERE = Ref(1, 0, 0, "")
BACKSPACED = "\x1b[2J\x1b]0;title\x07\x1b[31mred\x1b[0m\nand\ta second line \u202e\x9b"


def assert_golden(name: str, text: str) -> None:
    """Compare a text with its golden file; GFLOW_UPDATE_GOLDEN=1 writes it anew, to be read before use."""
    path = GOLDEN / f"terminal_{name}.txt"
    if os.environ.get("GFLOW_UPDATE_GOLDEN") == "1":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


# ---------------------------------------------------------------- a workflow, and runs of it


def nothing() -> None:
    """Stand for a body."""


def step(name: str, role: str | None = None, group: str | None = None, **more: Any) -> Node:
    """Return a leaf."""
    return Node(name, "agent" if role else "task", nothing, role=role, group=group, **more)


def group(name: str, kind: Kind, members: Sequence[str], owner: str | None = None, **more: Any) -> Node:
    """Return a group."""
    joins = frozenset(members)
    return Node(name, kind, nothing, group=owner, members=tuple(members), joins=joins, **more)


def graph(*nodes: Node, name: str = "release-workflow") -> Graph:
    """Return a workflow of these steps."""
    by_name = {node.name: node for node in nodes}
    outermost = next((node.name for node in nodes if node.is_group and node.group is None), None)
    results = (outermost or nodes[-1].name,)
    return Graph(name, "1.0.0", "", "recipes.release", by_name, {}, outermost, results)


UNDO = Undo(nothing, (), "Take it back")
RELEASE = graph(
    group("release", "stage", ["preparation", "quality_assurance", "ship"], is_empty=True),
    group("preparation", "stage", ["version_bump", "changelog", "dependency_check"], "release"),
    step("version_bump", "fullstack-developer", "preparation"),
    step("changelog", "technical-writer", "preparation"),
    step("dependency_check", "security-auditor", "preparation"),
    group("quality_assurance", "parallel", ["code_review", "security_scan", "performance_test"], "release"),
    step("code_review", "code-reviewer", "quality_assurance"),
    step("security_scan", "security-auditor", "quality_assurance"),
    step("performance_test", "test-automator", "quality_assurance"),
    group("ship", "stage", ["build", "tag", "deploy", "announce"], "release"),
    step("build", "devops-engineer", "ship"),
    step("tag", "devops-engineer", "ship", undo=UNDO),
    step("deploy", "devops-engineer", "ship", effects="irreversible"),
    step("announce", "technical-writer", "ship", undo=UNDO),
)
PREVIEWS = {
    "version_bump": "0.1.0 → 0.2.0 (1 feature since v0.1.0)",
    "changelog": "2 entries",
    "dependency_check": "0 advisories for 3 packages",
    "security_scan": "0 findings, 0 secrets in 9 files",
    "code_review": 'public API since v0.1.0: 1 added, 0 removed; fits "minor"',
    "performance_test": "0.98 \N{MULTIPLICATION SIGN} v0.1.0 (5 alternating rounds)",
    "build": "sample_pkg-0.2.0-py3-none-any.whl, 1.2 KiB",
    "tag": "v0.2.0 pushed to .gflow/demo/k3f9/remote.git",
    "deploy": "on the index; a fresh environment installed and imported 0.2.0",
    "announce": ".gflow/demo/k3f9/RELEASE-0.2.0.md",
}
SECONDS = {
    "version_bump": 0.7, "changelog": 0.1, "dependency_check": 1.2,
    "security_scan": 0.6, "code_review": 1.9, "performance_test": 4.1,
    "build": 0.8, "tag": 0.1, "deploy": 3.0, "announce": 0.0,
}  # fmt: skip
NO_NETWORK = "vulnerability service not reached, nothing was scanned"
FRAMES: list[list[Any]] = [
    ["recipes/release.py", 88, "deploy", "publish(build, index)"],
    [
        "recipes/shipping/artifacts.py",
        31,
        "publish",
        "raise ConnectionError(f'{index} refused the connection')",
    ],
]
REFUSED_CONNECTION = "http://127.0.0.1:9 refused the connection"


def done(path: str, degraded: str | None = None) -> Done:
    """Let a step complete, with its preview and its seconds."""
    return Done(path, NOWHERE, PREVIEWS.get(path, ""), SECONDS.get(path, 0.1), degraded)


def tripped(path: str, retry_at: float | None = None, message: str = REFUSED_CONNECTION) -> Tripped:
    """Let an attempt fail; it is tried again if that has a time."""
    decision = "stop" if retry_at is None else "retry"
    return Tripped(path, "ConnectionError", message, FRAMES, "low", decision, retry_at, 2.9)


Listener = Callable[[float, Sequence[Event]], object]


def unheard(at: float, events: Sequence[Event]) -> None:
    """Let nobody hear of a round."""


@dataclass
class Story:
    """A run that is told as a journal tells it: applied to its state first, then to whoever listens."""

    graph: Graph = RELEASE
    run: str = "k3f9"
    inputs: Mapping[str, str] = field(default_factory=lambda: {"part": "minor", "repo": "../calc"})
    known: Mapping[str, float] = field(default_factory=dict)
    state: State = field(default_factory=State)
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(START))
    listener: Listener = unheard
    exceptions: dict[str, BaseException] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)

    @property
    def journal(self) -> Any:
        return SimpleNamespace(run=self.run)

    def reached(self, path: str) -> str:
        return self.said.get(path, "")

    def begin(self, listener_of: Callable[[Any], Listener] = lambda _: unheard) -> Story:
        """Open the run, or go on with it; whoever listens is told with the first round, as by `runner`."""
        opening: list[Event] = [Claimed("host", 4711), StatusChanged("running")]
        if self.state.created is None:
            steps, g = progress.outline(self.graph), self.graph
            created = Created(
                g.name, g.version, g.module, steps, list(g.results), NOWHERE, dict(self.inputs), "1", "3"
            )
            opening.insert(0, created)
        for event in opening:
            self.state.apply(self.clock.now(), event)
        self.listener = listener_of(self)
        self.listener(self.clock.now(), opening)
        return self

    def after(self, seconds: float, *events: Event) -> Story:
        """Let a round come true so many seconds after the last one."""
        self.clock.moment += seconds
        for event in events:
            self.state.apply(self.clock.now(), event)
        self.listener(self.clock.now(), events)
        return self

    def takes(self, *paths: str, degraded: Mapping[str, str] | None = None) -> Story:
        """Let steps run one after another, each for its seconds."""
        for path in paths:
            self.after(0.0, Started(path, self.state.slot(path).attempt + 1))
            self.after(SECONDS.get(path, 0.1), done(path, (degraded or {}).get(path)))
        return self

    def prepared(self) -> Story:
        """Run everything up to the ship."""
        self.takes("version_bump", "changelog", "dependency_check", degraded={"dependency_check": NO_NETWORK})
        self.takes("preparation")
        self.after(0.0, *(Started(path, 1) for path in ("code_review", "security_scan", "performance_test")))
        self.after(0.6, done("security_scan")).after(1.3, done("code_review"))
        return self.after(2.2, done("performance_test")).takes("quality_assurance")

    def snapshot(self, *, alive: bool = True) -> Run:
        return progress.snapshot(
            self.run, self.state, self.clock.now(), alive=alive, known=self.known, exceptions=self.exceptions
        )


def watched(story: Story) -> View:
    """Begin a story and return the view of it that is told."""
    views: list[View] = []

    def listener_of(session: Any) -> Listener:
        views.append(View(session))
        return views[0].tell

    story.begin(listener_of)
    return views[0]


def fails(story: Story) -> Story:
    """Let deploy fail three times."""
    story.after(0.0, Started("deploy", 1)).after(2.9, tripped("deploy", story.clock.now() + 2.9 + 0.8))
    story.after(0.8, Started("deploy", 2)).after(2.9, tripped("deploy", story.clock.now() + 2.9 + 1.6))
    story.after(1.6, Started("deploy", 3)).after(3.0, tripped("deploy"))
    return story.after(0.0, StatusChanged("failed"))


def terminal(**more: Any) -> tuple[Terminal, io.StringIO]:
    """Return a terminal on a pipe, and what it writes to; its own thread waits for the end."""
    stream = io.StringIO()
    return Terminal(stream, {}, zone=UTC, wait=lambda flag, _: flag.wait(), **more), stream


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """After each test, the thread of its terminal has ended."""
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name == "gflow-terminal"] == []


# ---------------------------------------------------------------- a run, line by line


def test_a_run() -> None:
    """A run that completes: headings, a line for each step, and what it was bound by."""
    page, stream = terminal()
    story = Story().begin(page.listener).prepared().takes("build", "tag", "deploy", "announce", "ship")
    story.after(0.0, done("release"), StatusChanged("completed"))
    page.conclude(story.snapshot())
    assert_golden("run", stream.getvalue())


def test_a_failure() -> None:
    """A run that fails: waits and attempts, the user's lines, what stands, and the command that goes on."""
    page, stream = terminal()
    story = fails(Story().begin(page.listener).prepared().takes("build", "tag"))
    page.conclude(story.snapshot())
    assert_golden("failure", stream.getvalue())


def test_a_resumed_run() -> None:
    """A resumed run tells what is new; without headings, for what is left is in one group."""
    story = fails(Story(run="p71x").begin().prepared().takes("build", "tag"))
    story.clock.moment += 3600
    page, stream = terminal()
    story.begin(page.listener).takes("deploy", "announce", "ship")
    story.after(0.0, done("release"), StatusChanged("completed"))
    page.conclude(story.snapshot())
    assert_golden("resume", stream.getvalue())


def test_an_interrupted_run() -> None:
    """An interrupted run says by what, which step was running, and how to go on."""
    page, stream = terminal()
    story = Story().begin(page.listener).prepared().takes("build", "tag").after(0.0, Started("deploy", 1))
    story.after(2.0, Stopped("deploy"), StatusChanged("interrupted", "SIGINT"))
    page.conclude(story.snapshot())
    assert_golden("interrupted", stream.getvalue())


def test_a_refusal() -> None:
    """A refused run lists the reasons, under the group whose body refused."""
    page, stream = terminal()
    story = Story().begin(page.listener)
    story.takes("version_bump", "changelog", "dependency_check").after(0.0, Started("preparation", 1))
    refused = Refused("not fit to be released", ["a function was removed: calc.add", "1 secret in .env"])
    frames: list[list[Any]] = [["recipes/release.py", 41, "preparation", "return Verdict.of(changelog)"]]
    kind = "gflow.errors.Refused"
    story.after(0.1, Tripped("preparation", kind, str(refused), frames, "medium", "stop", None, 0.1))
    story.after(0.0, StatusChanged("failed"))
    page.conclude(replace(story.snapshot(), exceptions={"preparation": refused}))
    assert_golden("refused", stream.getvalue())
    assert "  refused: not fit to be released: a function" in summary(story.snapshot())


def test_groups_that_take_turns() -> None:
    """Where groups run side by side, each line stands under the heading of its own group."""
    two = graph(
        group("checks", "parallel", ["python", "docs"], is_empty=True),
        group("python", "stage", ["lint", "types"], "checks"),
        step("lint", group="python"),
        step("types", group="python"),
        group("docs", "parallel", ["build", "links", "words"], "checks", limit=2),
        step("build", group="docs"),
        step("links", group="docs"),
        step("words", group="docs"),
    )
    page, stream = terminal(verbose=True)
    story = Story(two, inputs={}).begin(page.listener).takes("lint", "build", "types", "links", "words")
    story.after(0.0, StatusChanged("completed"))
    page.close()
    assert_golden("turns", stream.getvalue())


def test_a_workflow_of_stages_alone() -> None:
    """In a workflow of groups alone every body is a step: it has a line, and no heading."""
    stages = graph(
        group("publish", "stage", ["test", "lint"]),
        group("test", "stage", ["compile"], "publish"),
        group("compile", "stage", [], "test"),
        group("lint", "stage", [], "publish"),
    )
    page, stream = terminal()
    story = Story(stages, inputs={}).begin(page.listener).takes("compile", "test", "lint", "publish")
    story.after(0.0, StatusChanged("completed"))
    page.conclude(story.snapshot())
    assert_golden("stages", stream.getvalue())


def test_an_ascii_stream() -> None:
    """A stream that cannot encode the marks gets ASCII, with the columns in their places."""
    stream = io.TextIOWrapper(io.BytesIO(), "latin-1", newline="\n")
    page = Terminal(stream, {}, zone=UTC)
    story = fails(Story().begin(page.listener).prepared().takes("build", "tag"))
    page.conclude(story.snapshot())
    stream.seek(0)
    assert_golden("ascii", stream.read())


def test_hostile_texts() -> None:
    """Whatever values and errors say, each line stays one line of printable characters."""
    page, stream = terminal()
    story = Story(inputs={"repo": BACKSPACED}).begin(page.listener)
    story.after(0.0, Started("version_bump", 1), Started("changelog", 1), Started("build", 1))
    preview = Done("version_bump", NOWHERE, BACKSPACED, 0.1, BACKSPACED)
    frames: list[list[Any]] = [["a\n.py", 1, "f", BACKSPACED]]
    trip = Tripped("changelog", "x.Bad\x1b[1m", f"\n \n{BACKSPACED}", frames, "", "stop", None, 0.1)
    again = tripped("build", START + 60, "x" * 5000)
    story.after(0.1, preview, trip, again, StatusChanged("failed", BACKSPACED))
    page.conclude(story.snapshot())
    shown = stream.getvalue() + describe(story.snapshot(), zone=UTC) + "\n"
    assert all(line.isprintable() for line in shown.split("\n"))
    assert_golden("hostile", shown)


def test_a_completed_run_is_not_told_again() -> None:
    """Resuming a completed run says that nothing was left to do."""
    story = Story().begin().after(0.0, done("release"), StatusChanged("completed"))
    page, stream = terminal()
    page.listener(story)
    page.conclude(story.snapshot())
    assert stream.getvalue() == "release-workflow 1.0.0 · run k3f9 · completed: nothing was left to do\n"


def test_the_thread_ends_with_the_run() -> None:
    """The terminal's own thread ends when the run does, whether or not anybody closes the terminal."""
    page, _ = terminal()
    Story().begin(page.listener).after(0.0, StatusChanged("failed"))
    page._thread.join(60)
    assert not page._thread.is_alive()


def test_a_closed_stream() -> None:
    """A stream that nobody reads any more harms no run."""
    page, stream = terminal()
    story = Story().begin(page.listener)
    stream.close()
    page.conclude(story.after(0.0, StatusChanged("completed")).snapshot())
    assert not page._thread.is_alive()


# ---------------------------------------------------------------- what goes on


def test_the_live_area_shows_how_far_a_step_says_it_is() -> None:
    """What a body says by `ctx.progress` stands in the line of its step, on one line, while it runs."""
    story = Story()
    view = watched(story)
    story.after(0.0, Started("version_bump", 1))
    story.said["version_bump"] = "42% upload\x1b[31ming\n"
    line = next(line for line in view.area(story.clock.now() + 1.0, 0) if "version_bump" in line)
    assert line.endswith("42% uploading")


def test_the_live_area() -> None:
    """The live area shows what runs and what waits, in the order of the plan, and how far the run is."""
    texts: list[str] = []
    story = Story(known=SECONDS)
    view = watched(story)
    story.listener = lambda at, events: texts.extend(view.tell(at, events))
    shown = [view.header()]
    shown += ["--- before anything runs", *view.area(START, 0)]
    story.takes("version_bump", "changelog").after(0.0, Started("dependency_check", 1))
    shown += [*texts, "--- one step", *view.area(story.clock.now() + 0.9, 1)]
    story.after(1.2, done("dependency_check"))
    story.after(0.0, *(Started(path, 1) for path in ("performance_test", "code_review", "security_scan")))
    story.after(0.6, tripped("security_scan", story.clock.now() + 2.0))
    shown += ["--- two steps and a wait", *view.area(story.clock.now(), 2)]
    shown += ["--- the wait alone"]
    story.after(1.0, done("performance_test"), done("code_review"))
    shown += [*view.area(story.clock.now() + 0.1, 3), view.heartbeat(story.clock.now() + 0.1)]
    shown += ["--- it runs again"]
    story.after(1.4, Started("security_scan", 2))
    shown += [*view.area(story.clock.now() + 0.1, 4)]
    assert_golden("live", "\n".join(shown) + "\n")


def test_overdue() -> None:
    """A step that takes longer than it ever did has no estimate."""
    story = Story(known=dict.fromkeys(SECONDS, 0.0) | {"deploy": 3.0})
    view = watched(story)
    story.prepared().takes("build", "tag").after(0.0, Started("deploy", 1))
    estimates = [view.progress(story.clock.now() + passed).eta_seconds for passed in (1.0, 1.5, 3.0)]
    assert estimates == [2.0, 1.5, None]


def test_a_crowd() -> None:
    """Of a crowd the area and the heartbeat name a few, and say how many more there are."""
    steps = [step(f"part_{number:02}") for number in range(20)]
    story = Story(graph(*steps))
    view = watched(story)
    story.after(0.0, *(Started(each.name, 1) for each in steps))
    now = story.after(95.0, done("part_00")).clock.now()
    assert_golden("crowd", "\n".join([*view.area(now, 0), view.heartbeat(now)]) + "\n")


def test_the_heartbeat() -> None:
    """Where nothing is drawn, a line says now and then what runs, for how long, and how far the run is."""
    asked: list[float] = []
    told, beaten = threading.Event(), threading.Event()

    def wait(flag: threading.Event, seconds: float) -> bool:
        told.wait()
        if len(asked) == 2:
            beaten.set()
            return flag.wait()
        asked.append(seconds)
        story.clock.moment += seconds
        return False

    stream = io.StringIO()
    page = Terminal(stream, {}, zone=UTC, wait=wait)
    known = {**SECONDS, "build": 120.0, "tag": 0.0, "deploy": 0.0}
    story = Story(known=known).begin(page.listener).prepared()
    story.after(0.0, Started("build", 1))
    told.set()
    beaten.wait()
    page.close()
    assert asked == [30.0, 30.0]
    assert stream.getvalue().splitlines()[-2:] == [
        "14:13:56 … still running: build 30 s (60.0% complete), eta 1m 30s",
        "14:14:26 … still running: build 1m 00s (60.0% complete), eta 1m 00s",
    ]


def test_the_view_is_behind_the_state() -> None:
    """What the state knows before the journal has told it does not count."""
    story = Story()
    view = watched(story)
    story.state.apply(START, Started("version_bump", 1))
    story.state.apply(START, done("version_bump"))
    assert view.progress(START) == Progress(10, 0, ("…",))
    view.tell(START, [Started("version_bump", 1), done("version_bump")])
    assert view.progress(START) == Progress(10, 1, ("…",))


# ---------------------------------------------------------------- a real terminal


class Tty(io.StringIO):
    """A stream that says it is a terminal, and knows what is to be seen on it."""

    def isatty(self) -> bool:
        return True

    def screen(self) -> str:
        """Carry out the control sequences: up, erase the line; the others change nothing here."""
        rows, row = [""], 0
        for text, up, erase, end in re.findall(r"([^\x1b\n]+)|\x1b\[(\d+)A|(\x1b\[2K)|(\n)", self.getvalue()):
            rows[row] = "" if erase else rows[row] + re.sub(r"^\[\S+?[a-zA-Z]", "", text)
            row += bool(end) - int(up or 0)
            rows += [""] * (row == len(rows))
        return "\n".join(rows).replace("\r", "").rstrip() + "\n"


def test_live_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal lines scroll, cut if they are too long; the area below them is drawn again, and goes."""
    monkeypatch.setenv("COLUMNS", "90")
    monkeypatch.setenv("TERM", "xterm")
    turn, drawn = threading.Semaphore(0), threading.Semaphore(0)
    asked: list[float] = []

    def wait(flag: threading.Event, seconds: float) -> bool:
        if asked:
            drawn.release()
        asked.append(seconds)
        turn.acquire()
        return flag.is_set()

    def look(title: str) -> None:
        turn.release()
        drawn.acquire()
        shown.append(f"--- {title}\n{stream.screen()}")

    stream = Tty()
    shown: list[str] = []
    page = Terminal(stream, {"TERM": "xterm", "NO_COLOR": "1"}, wait=wait)
    story = Story().begin(page.listener).takes("version_bump").after(0.0, Started("changelog", 1))
    look("one step runs")
    assert stream.getvalue().count("\x1b[?25l") == stream.getvalue().count("\x1b[?25h"), "the cursor is shown"
    look("and still runs")
    story.after(0.1, done("changelog"))
    look("nothing runs")
    story.takes("dependency_check", "preparation").after(0.0, Started("code_review", 1), Started("build", 1))
    look("two steps of two groups run")
    story.after(0.0, StatusChanged("interrupted", "SIGTERM"))
    turn.release()
    page.conclude(story.snapshot(alive=False))
    shown.append(f"--- the end\n{stream.screen()}")
    assert set(asked) == {0.1}
    assert_golden("drawn", "".join(shown))


@pytest.mark.parametrize(
    ("is_terminal", "environ", "live", "styled"),
    [
        (True, {}, True, True),
        (False, {}, False, False),
        (True, {"TERM": "xterm-256color"}, True, True),
        (True, {"TERM": "dumb"}, False, False),
        (True, {"TERM": "dumb", "FORCE_COLOR": "1"}, False, False),
        (True, {"CI": "true"}, False, True),
        (True, {"CI": "false"}, True, True),
        (True, {"NO_COLOR": "1"}, True, False),
        (True, {"NO_COLOR": ""}, True, True),
        (False, {"FORCE_COLOR": "1"}, False, True),
        (False, {"FORCE_COLOR": "0"}, False, False),
        (False, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
    ],
)
def test_what_a_stream_gets(is_terminal: bool, environ: dict[str, str], live: bool, styled: bool) -> None:
    """Only a real terminal outside CI is drawn on; colors can be forced and forbidden, drawing cannot."""
    assert mode(is_terminal, environ) == Mode(live, styled)


def test_forced_colors() -> None:
    """FORCE_COLOR gives a pipe colors, whole lines, and nothing that moves the cursor."""
    stream = io.StringIO()
    page = Terminal(stream, {"FORCE_COLOR": "1"}, zone=UTC)
    story = fails(Story().begin(page.listener).prepared().takes("build", "tag"))
    page.conclude(story.snapshot())
    colored = stream.getvalue()
    plain = "".join(part.partition("m")[2] if n else part for n, part in enumerate(colored.split("\x1b[")))
    assert plain == (GOLDEN / "terminal_failure.txt").read_text(encoding="utf-8")
    codes = {part.partition("m")[0] for part in colored.split("\x1b[")[1:]}
    assert codes == {"0", "1", "31", "32", "33"}
    assert "14:13:20   \x1b[32m✓\x1b[0m version_bump" in colored
    assert "\x1b[31mfailed\x1b[0m: deploy" in colored


# ---------------------------------------------------------------- one run, looked at later


def test_show() -> None:
    """`show` tells the status, the times, the inputs, every step in its group, and what went wrong."""
    story = fails(Story(run="p71x").begin().prepared().takes("build", "tag"))
    assert_golden("show", describe(story.snapshot(), zone=UTC) + "\n")


def test_show_a_running_run() -> None:
    """`show` of a run that goes on says what runs, and the bars of that end now."""
    story = Story().begin().prepared().after(0.0, Started("build", 1))
    now = datetime.fromtimestamp(story.clock.now() + 5, UTC)
    assert_golden("show_running", describe(story.snapshot(), timeline=True, now=now, zone=UTC) + "\n")


def test_timeline() -> None:
    """The timeline has a bar for each step that ran, in 80 columns; what was kept has none."""
    story = fails(Story(run="p71x").begin().prepared().takes("build", "tag"))
    failed = describe(story.snapshot(), timeline=True, zone=UTC)
    story.clock.moment += 3600
    story.begin().takes("deploy", "announce", "ship").after(0.0, done("release"))
    resumed = describe(story.after(0.0, StatusChanged("completed")).snapshot(), timeline=True, zone=UTC)
    assert max(len(line) for line in failed.split("\n\n")[2].splitlines()) == 80
    assert_golden("timeline", f"{failed}\n\n--- resumed\n\n{resumed}\n")


def test_show_a_dead_run() -> None:
    """`show` of a run whose process is gone says that it is interrupted, and how to go on."""
    story = Story().begin().prepared().after(0.0, StatusChanged("running", "resumed"), Started("build", 1))
    text = describe(story.snapshot(alive=False), "python -m gflow", zone=UTC)
    assert text.splitlines()[0] == "release-workflow 1.0.0 · run k3f9 · interrupted · 60.0% complete"
    assert "    ■ build " in text
    assert text.endswith("\n\n  go on       python -m gflow resume k3f9")


def test_rich_is_not_loaded() -> None:
    """Rich is loaded by a terminal that needs it, and by nothing else."""
    code = "import io, sys, gflow.terminal as t; t.Terminal(io.StringIO(), {}); print('rich' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_show_deep_groups() -> None:
    """Groups may nest deeper than Python's stack."""
    names = [f"stage_{number}" for number in range(3000)]
    steps = {
        name: StepState(name, "stage", "pending", group=names[number - 1] if number else None)
        for number, name in enumerate(names)
    }
    run = replace(Story().begin().snapshot(), steps=steps)
    assert len(describe(run, zone=UTC).splitlines()) > 3000


# ---------------------------------------------------------------- parts of the texts


def test_given_inputs() -> None:
    """Inputs are shown in a bounded way, and not at all if there are none."""
    assert given({}) == ""
    assert given({"part": "minor"}) == "1 input: part=minor"
    assert len(given({f"input_{number}": "x" * 50 for number in range(50)})) == 120


@pytest.mark.parametrize(
    ("attempt", "waits", "text"),
    [
        (1, [], "ValueError: no"),
        (4, [], "attempt 4 · ValueError: no"),
        (3, [0.8, 1.6], "3 attempts (waited 0.8 s, 1.6 s): ValueError: no"),
        (9, [1, 2, 4, 8, 50], "6 attempts (waited 1m 05s in all): ValueError: no"),
    ],
)
def test_failed_attempts(attempt: int, waits: list[float], text: str) -> None:
    """A failed step says how often it was tried here, and how long was waited in between."""
    assert failed_text(attempt, waits, "some.module.ValueError", "\nno\nmore") == text


def test_columns() -> None:
    """Columns are as wide as what is in them, count wide characters twice, and may be missing."""
    columns = Columns.of(["build", "測試"], ["", ""])
    assert columns.row("✓", "build", None, 61.0, "x") == "  ✓ build  1m 01s   x"
    assert columns.row("✓", "測試", None, None, "x") == "  ✓ 測試            x"
    assert Columns.of(["x" * 50], ["y" * 50]) == Columns(40, 24)


def finished(*steps: tuple[str, float, float], **more: Any) -> Run:
    """Return a completed run of tasks, each with the seconds when it began and ended."""
    began = datetime.fromtimestamp(START, UTC)
    states = {
        name: StepState(
            name, "task", "completed", attempts=1, seconds=last - first,
            started=began + timedelta(seconds=first), ended=began + timedelta(seconds=last),
        )
        for name, first, last in steps
    }  # fmt: skip
    ended = began + timedelta(seconds=max((last for _, _, last in steps), default=0.0))
    run = Run(
        "k3f9", "w", "1", "completed", (), states, began, ended, (), {}, {}, Progress(len(steps), len(steps))
    )
    return replace(run, **more)


@pytest.mark.parametrize(
    ("steps", "name"),
    [
        ([], None),
        ([("a", 0, 1)], "a"),
        ([("a", 0, 1), ("b", 1, 3), ("c", 3, 4)], "b"),
        ([("a", 0, 5), ("b", 0, 1), ("c", 5, 6)], "a"),  # b ran beside a
        ([("a", 0, 9.5), ("b", 0, 1), ("c", 1, 10)], "c"),  # a ran beside the chain that ended last
    ],
)
def test_bound_by(steps: list[tuple[str, float, float]], name: str | None) -> None:
    """A run was bound by the longest step of the chain that ended last."""
    assert progress.bound_by(finished(*steps)) == name


def test_what_was_kept_binds_nothing() -> None:
    """A step that an earlier process has done does not bind this one."""
    run = finished(("a", 0, 9), ("b", 9, 10))
    run = replace(run, steps={**run.steps, "a": replace(run.steps["a"], kept=True)})
    assert progress.bound_by(run) == "b"


@pytest.mark.parametrize(
    ("known", "bound"),
    [
        ({}, "bound by b"),
        ({"b": 8.0}, "bound by b"),
        ({"b": 3.0}, "bound by b (9.0 s, usually 3.0 s)"),
    ],
)
def test_slower_than_usual(known: dict[str, float], bound: str) -> None:
    """What bound the run is compared with its median where that was clearly less."""
    first = summary(finished(("a", 0, 1), ("b", 1, 10)), known=known).splitlines()[0]
    assert first == f"completed · 2 steps in 10.0 s · {bound}"


@pytest.mark.parametrize(
    ("status", "reason", "text"),
    [
        ("cancelled", "by ann", "cancelled (by ann) · run k3f9\n  go on       python -m gflow resume k3f9"),
        ("waiting", "", "waiting for an approval:  (100.0% complete) · run k3f9"),
        ("rolled_back", "to a", "rolled back to a · run k3f9\n  go on       python -m gflow resume k3f9"),
        ("interrupted", "", "interrupted: no step was cut short · python -m gflow resume k3f9"),
    ],
)
def test_other_endings(status: Status, reason: str, text: str) -> None:
    """Every status has a first line; what can go on says by which command, as the process was called."""
    run = finished(("a", 0, 1), status=status, reason=reason)
    assert summary(run, "python -m gflow") == text


def test_several_errors() -> None:
    """Several failures are shown one after another: the step, its last six frames, what was raised."""
    frames = tuple(Frame("flow.py", line, "walk", f"walk({line})") for line in range(1, 10))
    table = "`make` exited with 2\n" + "".join(f"    line {number}\n" for number in range(40))
    first = StepError("a", "RecursionError", "too deep", frames=frames)
    three = (first, StepError("b", "Failed", table), StepError("c", "E", ""))
    text = errors(finished(("a", 0, 1), ("b", 0, 1), status="failed", errors=three))
    assert_golden("errors", "\n".join(text) + "\n")


# ---------------------------------------------------------------- lists


def test_list_of_runs() -> None:
    """Each run has a line; one that can go on says by which command, a dead one why it is interrupted."""
    now = datetime.fromtimestamp(START, UTC)

    def listed(
        run: str, status: Status, minutes: float, seconds: float | None, gone: int | None = None
    ) -> Listed:
        return Listed(run, "release-workflow", status, now - timedelta(minutes=minutes), seconds, gone)

    runs = [
        listed("a2bc", "running", 0.1, None),
        listed("k3f9", "completed", 2, 10.3),
        listed("k4f9", "interrupted", 3, None, 4711),
        listed("p71x", "failed", 200, 4000),
        replace(listed("p72x", "interrupted", 60 * 24 * 4, 3.0), workflow="ship"),
        listed("zzzz", "completed", 60 * 24 * 400, 0.0),
    ]
    assert_golden("runs", listing(runs, now, "gflow") + "\n")
    assert listing([], now, "gflow") == "no run yet · gflow run MODULE makes one"


def test_statistics() -> None:
    """The medians are shown with their shares, the longest first."""
    assert_golden("stats", stats(SECONDS, 12) + "\n")
    assert stats({}, 0) == "no completed run yet: no step has a median"
    assert "0.0%" in stats({"a": 0.0}, 1)
