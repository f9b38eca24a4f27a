"""The group that is the workflow: there is one, and every step that takes part is inside it, in one place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gflow.compiler.cast import Cast, Instance
from gflow.compiler.containment import Tree
from gflow.compiler.findings import Report
from gflow.compiler.words import argument, called, listing, parameter_place, place_of, plain, result_shown


def outermost(cast: Cast, tree: Tree) -> list[Instance]:
    """Return the groups that no group owns."""
    return [step for step in cast.links if step.is_group and step not in tree.owner]


def report_disputes(cast: Cast, tree: Tree, names: Mapping[Instance, str], report: Report) -> None:
    """Report steps that several groups name with no order between these."""
    for step, groups in tree.disputed.items():
        name, *namers = [called(one.step.fn) for one in (step, *groups)]  # as they are written, not as paths
        common = tree.apart(groups[0], groups[-1])[0]
        around = [name, *(plain(names[member]) for member in tree.named.get(common, ()))] if common else []
        listed = listing(namers)
        report.error(
            "GF032",
            f"{listed} all name `{name}`, and none comes first: whose member is it?"
            if len(groups) > 2
            else f"{listed} both name `{name}`, and neither comes first: whose member is it?",
            *(place for group in groups if (place := parameter_place(cast, group, step))),
            hints=[
                f"let `{namers[-1]}` read it: `{name}: Annotated[{result_shown(step)}, From({name})]`",
                f"or put them in order: `after=[{namers[0]}]` at `{namers[-1]}`",
                f"or name it in the group around them: `{called(common.step.fn)}({', '.join(around)})`"
                if common
                else "",
            ],
        )


def report_outermost(cast: Cast, tree: Tree, names: Mapping[Instance, str], report: Report) -> None:
    """Report several outermost groups, and steps that are in none."""
    groups = outermost(cast, tree)
    if len(groups) > 1:
        _report_several(cast, tree, groups, names, report)
    outside = [step for step in cast.links if not step.is_group and step not in tree.owner]
    for step in [step for step in outside if not cast.is_nameless(step)] if groups else ():
        hints = _ways_in(cast, tree, groups, step, names)
        workflow = f"outside `{names[groups[0]]}`, the workflow" if len(groups) == 1 else "in no group"
        report.error("GF033", f"`{names[step]}` is {workflow}", place_of(cast, step), hints=[*hints])


def _report_several(
    cast: Cast, tree: Tree, groups: Sequence[Instance], names: Mapping[Instance, str], report: Report
) -> None:
    roots = [names[group] for group in groups]
    how_many = "both" if len(groups) == 2 else "all"
    report.error(
        "GF034",
        f"{listing(roots)} are {how_many} outermost, but one group holds all the others",
        *(place_of(cast, group) for group in groups),
        hints=["join them:", *_stage(cast, _by_data(cast, tree, groups), names)],
    )


def _stage(cast: Cast, members: Sequence[Instance], names: Mapping[Instance, str]) -> Iterator[str]:
    """Yield the lines that define a stage of some steps."""
    name = cast.home.module.rpartition(".")[2]
    name = name if name.isidentifier() and name not in names.values() else "workflow"
    arguments = ", ".join(argument(member, names) for member in members)
    yield "    @stage"
    yield f"    def {name}({arguments}) -> None: ..."


def _by_data(cast: Cast, tree: Tree, groups: Sequence[Instance]) -> list[Instance]:
    """Return groups so that each comes after those that it takes values from, where that is possible."""
    sources: dict[Instance, set[Instance]] = {group: set() for group in groups}
    for step in cast.links:
        home = tree.chain(step)[-1]
        sources.get(home, set()).update(tree.chain(target)[-1] for target in cast.targets[step] if target)
    ordered: list[Instance] = []
    while len(ordered) < len(groups):
        left = [group for group in groups if group not in ordered]
        free = (group for group in left if not sources[group] & {*left} - {group})
        ordered.append(next(free, left[0]))
    return ordered


def _ways_in(
    cast: Cast, tree: Tree, groups: Sequence[Instance], step: Instance, names: Mapping[Instance, str]
) -> Iterator[str]:
    consumers = [other for other in cast.links if step in cast.targets[other] and other in tree.owner]
    if set(groups) & set(cast.targets[step]):
        yield "it needs what is outermost now, so one stage more holds both:"
        yield from _stage(cast, [*groups, step], names)
        return
    group, before = _innermost(tree, consumers) if consumers else (groups[-1], None)
    if group is None:
        group, before = groups[-1], None
    place = f", before `{names[before]}`" if before and group.step.kind == "stage" else ""
    yield f"add `{argument(step, names)}` to the signature of `{called(group.step.fn)}`{place}"
    copies = [names[other] for other in cast.links if other.scope and other.step is step.step]
    for copy in [name for name in copies if name.count("/") == 1][:1]:
        yield f"or take that of the copy: `From({copy.replace('/', '.')})`"


def _innermost(tree: Tree, steps: Sequence[Instance]) -> tuple[Instance | None, Instance | None]:
    """Return the innermost group around some steps, and its first member on the way to them."""
    around = [
        group for group in tree.chain(steps[0])[1:] if all(group in tree.chain(step)[1:] for step in steps)
    ]
    if not around:
        return None, None
    inside = {tree.chain(step)[tree.chain(step).index(around[0]) - 1] for step in steps}
    return around[0], next((member for member in tree.named[around[0]] if member in inside), None)
