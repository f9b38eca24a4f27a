"""Run the fault tests, and every mutation that each of them must notice; print a table.

    python -m tests.crash [--tiny | --long] [NAME …]

Exit 1 if a promise is broken, or a mutation is not noticed. Everything runs in forked children of this
process, two at a time.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import textwrap
import time
import traceback
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import anyio._backends._asyncio
import backoff  # imported here, once, and not in each child

from tests.crash import (
    edits,
    forgery,
    going_back,
    goldens,
    killing,
    living,
    log_cuts,
    operations,
    owners,
    poisoned,
    power,
    scene,
    signals,
    simulation,
    unpicklable,
)
from tests.crash.mutations import Mutation
from tests.crash.proof import Proof, Skipped, Violation

PROOFS: Final = tuple(
    module.PROOF
    for module in (
        simulation, killing, going_back, power, operations, log_cuts, forgery, unpicklable, owners, living,
        signals, poisoned, goldens, edits,
    )
)  # fmt: skip
AT_ONCE: Final = 2
WIDTH: Final = 110
FEW: Final = 1
"""So many mutations of each proof are tried under pytest, which has three minutes in all; here all are."""
TRIES: Final = 4
"""A mutation is looked for in so many times the tiny count of cases."""

Verdict = Literal["holds", "broken", "skipped", "error"]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one proof, with or without a mutation.

    `text` tells a violation, or what else there is to show.
    """

    proof: Proof
    mutation: Mutation | None
    verdict: Verdict
    count: int
    text: str
    seconds: float

    @property
    def is_good(self) -> bool:
        wanted = "broken" if self.mutation else "holds"
        return self.verdict in (wanted, "skipped")


class Task:
    """One proof in a child, with or without a mutation."""

    def __init__(self, proof: Proof, mutation: Mutation | None, count: int) -> None:
        self.proof = proof
        self.mutation = mutation
        self.began = time.monotonic()
        self.folder = tempfile.TemporaryDirectory()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _examine(proof, mutation, count, Path(self.folder.name))
            os._exit(0)

    def result(self) -> Result:
        """Read what the child, which has ended, has found."""
        told = Path(self.folder.name) / "told"
        verdict, count, text = json.loads(told.read_text()) if told.exists() else ("error", 0, "it died")
        self.folder.cleanup()
        return Result(self.proof, self.mutation, verdict, count, text, time.monotonic() - self.began)


def _examine(proof: Proof, mutation: Mutation | None, count: int, folder: Path) -> None:
    """Be the child: quiet, with a key of its own, in a folder of its own."""
    with (folder / "said").open("w") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    os.environ.update(GFLOW_KEY=scene.KEY.hex(), HOME=str(folder))
    for name in ("GFLOW_KEY_FILE", "GFLOW_STORE", "GFLOW_DURABILITY", "XDG_CONFIG_HOME"):
        os.environ.pop(name, None)
    verdict: Verdict = "holds"
    text, done = "", 0
    try:
        with mutation.applied() if mutation else nullcontext():
            done = proof.check(count)
            text = proof.told()
    except Violation as error:
        verdict, text = "broken", str(error)
    except Skipped as error:
        verdict, text = "skipped", str(error)
    except BaseException:  # noqa: BLE001  # told by the parent
        verdict, text = "error", traceback.format_exc()
    (folder / "told").write_text(json.dumps([verdict, done, text]))


def examine(proofs: Iterable[Proof], level: str) -> list[Result]:
    """Examine proofs, two tasks at a time, each without a mutation and with each of its own."""
    waiting = [
        (proof, mutation, TRIES * proof.tiny if mutation else proof.count(level))
        for proof in proofs
        for mutation in (None, *(proof.mutations[:FEW] if level == "tiny" else proof.mutations))
    ]
    running: dict[int, Task] = {}
    results: list[Result] = []
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            task = Task(*waiting.pop(0))
            running[task.pid] = task
        pid, _ = os.waitpid(-1, 0)
        results.append(running.pop(pid).result())
        print(".", end="", flush=True)
    return results


# ---------------------------------------------------------------- the table


def table(results: Sequence[Result]) -> str:
    """Return a row for each proof: cases, seconds, mutations caught."""
    rows = [("test", "cases", "seconds", "mutations caught")]
    rows += [_row(*_of(proof, results)) for proof in dict.fromkeys(result.proof for result in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines: list[str] = []
    for row in rows:
        start = "".join(f"{cell:<{width}}  " for cell, width in zip(row, widths, strict=False))
        lines += textwrap.wrap(
            start + row[3], WIDTH, subsequent_indent=" " * len(start), break_on_hyphens=False
        )
    return "\n".join(lines)


def _row(plain: Result, mutated: Sequence[Result]) -> tuple[str, str, str, str]:
    seconds = f"{sum(each.seconds for each in (plain, *mutated)):.0f}"
    if plain.verdict == "skipped":
        return plain.proof.name, f"skipped: {plain.text}", seconds, "none tried"
    caught = [each.mutation.name for each in mutated if each.mutation and each.verdict == "broken"]
    told = f"{len(caught)} of {len(mutated)}: {', '.join(caught)}"
    return plain.proof.name, f"{plain.count} {plain.proof.unit}", seconds, told


def _of(proof: Proof, results: Sequence[Result]) -> tuple[Result, list[Result]]:
    mine = [result for result in results if result.proof is proof]
    return next(each for each in mine if each.mutation is None), [each for each in mine if each.mutation]


def complaint(result: Result) -> str:
    """Return what is wrong with a result."""
    if result.mutation and result.verdict == "holds":
        return f"{result.proof.name}: the mutation {result.mutation.name} was not noticed"
    with_it = f" with {result.mutation.name}" if result.mutation else ""
    return f"{result.proof.name}{with_it}: {result.text}"


def main(arguments: Sequence[str]) -> int:
    """Run what is asked for, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(each.name for each in PROOFS))
    levels = parser.add_mutually_exclusive_group()
    for level in ("tiny", "long"):
        levels.add_argument(f"--{level}", dest="level", action="store_const", const=level, default="short")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - {each.name for each in PROOFS}
    if unknown:
        parser.error(f"no such test: {', '.join(unknown)}")
    results = examine([each for each in PROOFS if each.name in (options.names or [each.name])], options.level)
    print(f"\n{table(results)}")
    for result in results:
        if result.verdict == "holds" and result.text and result.mutation is None:
            print(
                f"\n{result.proof.name}: how often a process died while its run used a feature\n{result.text}"
            )
    bad = [result for result in results if not result.is_good]
    for result in bad:
        print(f"\n{complaint(result)}")
    return 1 if bad else 0


if __name__ == "__main__":
    assert anyio._backends._asyncio
    assert backoff
    sys.exit(main(sys.argv[1:]))
