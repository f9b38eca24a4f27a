"""What a rollback would do, as text."""

from __future__ import annotations

from gflow.rollback import Entry, Plan


def rollback(run: str, plan: Plan, *, question: bool = False) -> str:
    """Return the plan of a rollback: what is undone, newest first, what stays, and what is in its way."""
    title = f"rollback of {run} to {plan.to}"
    shown = [entry for entry in plan.entries if not (entry.stays and entry.is_group)]
    if not shown:
        return f"{title}: nothing to undo"
    width = max(len(entry.path) for entry in shown)
    lines = [f"{title} ({'will' if question else 'would'} undo, newest first)"]
    number = 0
    for entry in shown:
        number += entry.treatment == "undo"
        mark = f"{number:>3}" if entry.treatment == "undo" else _MARKS[entry.treatment]
        lines.append(f"{mark} {entry.path:<{width}}  {_line(entry)}")
    if plan.beside:
        lines.append(f"kept beside it: {', '.join(plan.beside)}")
    if not question:
        lines.append("nothing was changed · leave out --plan to do it")
    return "\n".join(lines)


_MARKS = {"stays": "  ·", "adopted": "  ·", "irreversible": "  !", "unclear": "  ?"}


def _line(entry: Entry) -> str:
    match entry.treatment:
        case "undo":
            what = entry.preview or ("" if entry.completed else "it did not complete")
            return f"{entry.doc or 'undo'}{f': {what}' if what else ''}"
        case "stays":
            return "no undo: stays as it is"
        case "adopted":
            return f"stays as it is: belongs to run {entry.origin}"
        case "irreversible":
            return "cannot be undone: only --force passes over it"
        case "unclear":
            return "may have acted, and its undo needs a result that there is not"
