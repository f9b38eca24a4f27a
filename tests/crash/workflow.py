"""Thirty leaves in branches and nested groups, sync and async, many with an undo: what is killed here."""

from __future__ import annotations

import anyio.lowlevel

from gflow import Context, Retry, parallel, stage, task
from tests.crash.ledger import Made, perform, take_back

PAGES = 16_000
"""Bytes of a value that is read from its round again, because it is too large to be kept in memory."""
LARGE = 100_000
"""Bytes of a value that is kept in a file of its own."""


async def aperform(ctx: Context, *given: Made | None, ballast: int = 0) -> Made:
    """Do the same on the loop."""
    await anyio.lowlevel.checkpoint()
    return perform(ctx, *given, ballast=ballast)


async def atake_back(ctx: Context, value: Made | None) -> None:
    """Take back on the loop."""
    await anyio.lowlevel.checkpoint()
    take_back(ctx, value)


# ---------------------------------------------------------------- preparing


@task
def source(ctx: Context) -> Made:
    return perform(ctx, ballast=PAGES)


@source.undo
def undo_source(source: Made | None, ctx: Context) -> None:
    take_back(ctx, source)


@task
async def tools(ctx: Context) -> Made:
    return await aperform(ctx)


@task
def settings(ctx: Context, source: Made) -> Made:
    return perform(ctx, source)


@settings.undo
def undo_settings(settings: Made | None, ctx: Context) -> None:
    take_back(ctx, settings)


@parallel
def fetched(source: Made, tools: Made) -> None: ...


@stage
def prepared(fetched: None, settings: Made, ctx: Context) -> Made:
    return perform(ctx, settings)


# ---------------------------------------------------------------- building


@task(attempts=Retry(3, base=0.0))
def flaky(ctx: Context, source: Made) -> Made:
    made = perform(ctx, source)
    if ctx.attempt == 1:
        raise ConnectionError("the first attempt never works")
    return made


@task
def core(ctx: Context, flaky: Made) -> Made:
    return perform(ctx, flaky, ballast=LARGE)


@core.undo
def undo_core(core: Made | None, ctx: Context) -> None:
    take_back(ctx, core)


@task
def net(ctx: Context, settings: Made) -> Made:
    return perform(ctx, settings)


@task
async def ui(ctx: Context, settings: Made, tools: Made) -> Made:
    return await aperform(ctx, settings, tools, ballast=LARGE)


@ui.undo
async def undo_ui(ui: Made | None, ctx: Context) -> None:
    await atake_back(ctx, ui)


@task
def headers(ctx: Context) -> Made:
    return perform(ctx)


@headers.undo
def undo_headers(headers: Made | None, ctx: Context) -> None:
    take_back(ctx, headers)


@task
def objects(ctx: Context, headers: Made, source: Made) -> Made:
    return perform(ctx, headers, source)


@task
def archive(ctx: Context, objects: Made) -> Made:
    return perform(ctx, objects)


@archive.undo
def undo_archive(archive: Made | None, ctx: Context) -> None:
    take_back(ctx, archive)


@stage
def native(headers: Made, objects: Made, archive: Made, ctx: Context) -> Made:
    return perform(ctx, archive)


@parallel(limit=3)
def built(flaky: Made, core: Made, net: Made, ui: Made, native: Made, ctx: Context) -> Made:
    return perform(ctx, core, net, ui, native, ballast=PAGES)


# ---------------------------------------------------------------- checking


@task
def lint(ctx: Context, source: Made) -> Made:
    return perform(ctx, source)


@task
def types(ctx: Context, source: Made, core: Made) -> Made:
    return perform(ctx, source, core)


@task
def quick(ctx: Context, built: Made) -> Made:
    return perform(ctx, built)


@quick.undo
def undo_quick(quick: Made | None, ctx: Context) -> None:
    take_back(ctx, quick)


@task
async def slow(ctx: Context, built: Made, quick: Made) -> Made:
    return await aperform(ctx, built, quick)


@slow.undo
async def undo_slow(slow: Made | None, ctx: Context) -> None:
    await atake_back(ctx, slow)


@stage
def units(quick: Made, slow: Made) -> None: ...


@task
def chrome(ctx: Context, ui: Made) -> Made:
    return perform(ctx, ui)


@chrome.undo
def undo_chrome(chrome: Made | None, ctx: Context) -> None:
    take_back(ctx, chrome)


@task
async def firefox(ctx: Context, ui: Made) -> Made:
    return await aperform(ctx, ui)


@firefox.undo
def undo_firefox(firefox: Made | None, ctx: Context) -> None:
    take_back(ctx, firefox)


@task
def safari(ctx: Context, ui: Made) -> Made:
    return perform(ctx, ui)


@parallel(limit=2)
def browsers(chrome: Made, firefox: Made, safari: Made, ctx: Context) -> Made:
    return perform(ctx, chrome, firefox, safari)


@task
def coverage(ctx: Context, native: Made) -> Made:
    return perform(ctx, native)


@task
def sizes(ctx: Context, archive: Made, core: Made) -> Made:
    return perform(ctx, archive, core)


@task
async def licenses(ctx: Context, tools: Made) -> Made:
    return await aperform(ctx, tools)


@parallel
def checked(
    lint: Made, types: Made, units: None, browsers: Made, coverage: Made, sizes: Made, licenses: Made,
    ctx: Context,
) -> Made:  # fmt: skip
    return perform(ctx, lint, types, browsers, coverage, sizes, licenses)


# ---------------------------------------------------------------- shipping


@task
def notes(ctx: Context, source: Made, checked: Made) -> Made:
    return perform(ctx, source, checked)


@notes.undo
def undo_notes(notes: Made | None, ctx: Context) -> None:
    take_back(ctx, notes)


@task
def package(ctx: Context, built: Made) -> Made:
    return perform(ctx, built, ballast=LARGE)


@package.undo
def undo_package(package: Made | None, ctx: Context) -> None:
    take_back(ctx, package)


@task
async def signed(ctx: Context, package: Made) -> Made:
    return await aperform(ctx, package)


@signed.undo
async def undo_signed(signed: Made | None, ctx: Context) -> None:
    await atake_back(ctx, signed)


@task
def europe(ctx: Context, signed: Made) -> Made:
    return perform(ctx, signed)


@europe.undo
def undo_europe(europe: Made | None, ctx: Context) -> None:
    take_back(ctx, europe)


@task
async def america(ctx: Context, signed: Made) -> Made:
    return await aperform(ctx, signed)


@america.undo
async def undo_america(america: Made | None, ctx: Context) -> None:
    await atake_back(ctx, america)


@task
def asia(ctx: Context, signed: Made, europe: Made) -> Made:
    return perform(ctx, signed, europe)


@asia.undo
def undo_asia(asia: Made | None, ctx: Context) -> None:
    take_back(ctx, asia)


@parallel
def uploaded(europe: Made, america: Made, asia: Made) -> None: ...


@task
def announced(ctx: Context, notes: Made, america: Made) -> Made:
    return perform(ctx, notes, america)


@announced.undo
def undo_announced(announced: Made | None, ctx: Context) -> None:
    take_back(ctx, announced)


@task
def mailed(ctx: Context, announced: Made) -> Made:
    return perform(ctx, announced)


@mailed.undo
def undo_mailed(mailed: Made | None, ctx: Context) -> None:
    take_back(ctx, mailed)


@task
def measured(ctx: Context, package: Made) -> Made:
    return perform(ctx, package)


@task
def cleaned(ctx: Context) -> Made:
    return perform(ctx)


@cleaned.undo
def undo_cleaned(cleaned: Made | None, ctx: Context) -> None:
    take_back(ctx, cleaned)


@stage
def shipped(
    notes: Made, package: Made, signed: Made, uploaded: None, announced: Made, mailed: Made, measured: Made,
    cleaned: Made, ctx: Context,
) -> Made:  # fmt: skip
    return perform(ctx, cleaned, mailed, measured)


@stage
def delivery(prepared: Made, built: Made, checked: Made, shipped: Made, ctx: Context) -> Made:
    return perform(ctx, prepared, built, checked, shipped)
