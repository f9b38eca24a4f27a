"""Thirty leaves in branches and nested groups, sync and async: what is killed, cut and forged here."""

from __future__ import annotations

import anyio.lowlevel

from gflow import Context, Retry, parallel, stage, task
from tests.crash.ledger import Made, perform

PAGES = 16_000
"""Bytes of a value that is read from its round again, because it is too large to be kept in memory."""
LARGE = 100_000
"""Bytes of a value that is kept in a file of its own."""


async def aperform(ctx: Context, *given: Made | None, ballast: int = 0) -> Made:
    """Do the same on the loop."""
    await anyio.lowlevel.checkpoint()
    return perform(ctx, *given, ballast=ballast)


# ---------------------------------------------------------------- preparing


@task
def source(ctx: Context) -> Made:
    return perform(ctx, ballast=PAGES)


@task
async def tools(ctx: Context) -> Made:
    return await aperform(ctx)


@task
def settings(ctx: Context, source: Made) -> Made:
    return perform(ctx, source)


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


@task
def net(ctx: Context, settings: Made) -> Made:
    return perform(ctx, settings)


@task
async def ui(ctx: Context, settings: Made, tools: Made) -> Made:
    return await aperform(ctx, settings, tools, ballast=LARGE)


@task
def headers(ctx: Context) -> Made:
    return perform(ctx)


@task
def objects(ctx: Context, headers: Made, source: Made) -> Made:
    return perform(ctx, headers, source)


@task
def archive(ctx: Context, objects: Made) -> Made:
    return perform(ctx, objects)


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


@task
async def slow(ctx: Context, built: Made, quick: Made) -> Made:
    return await aperform(ctx, built, quick)


@stage
def units(quick: Made, slow: Made) -> None: ...


@task
def chrome(ctx: Context, ui: Made) -> Made:
    return perform(ctx, ui)


@task
async def firefox(ctx: Context, ui: Made) -> Made:
    return await aperform(ctx, ui)


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


@task
def package(ctx: Context, built: Made) -> Made:
    return perform(ctx, built, ballast=LARGE)


@task
async def signed(ctx: Context, package: Made) -> Made:
    return await aperform(ctx, package)


@task
def europe(ctx: Context, signed: Made) -> Made:
    return perform(ctx, signed)


@task
async def america(ctx: Context, signed: Made) -> Made:
    return await aperform(ctx, signed)


@task
def asia(ctx: Context, signed: Made, europe: Made) -> Made:
    return perform(ctx, signed, europe)


@parallel
def uploaded(europe: Made, america: Made, asia: Made) -> None: ...


@task
def announced(ctx: Context, notes: Made, america: Made) -> Made:
    return perform(ctx, notes, america)


@task
def mailed(ctx: Context, announced: Made) -> Made:
    return perform(ctx, announced)


@task
def measured(ctx: Context, package: Made) -> Made:
    return perform(ctx, package)


@task
def cleaned(ctx: Context) -> Made:
    return perform(ctx)


@stage
def shipped(
    notes: Made, package: Made, signed: Made, uploaded: None, announced: Made, mailed: Made, measured: Made,
    cleaned: Made, ctx: Context,
) -> Made:  # fmt: skip
    return perform(ctx, cleaned, mailed, measured)


@stage
def delivery(prepared: Made, built: Made, checked: Made, shipped: Made, ctx: Context) -> Made:
    return perform(ctx, prepared, built, checked, shipped)
