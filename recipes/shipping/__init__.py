"""What `recipes.release` is made of: one file per noun.

wording       numbers with nouns, sizes, short paths
tools         command-line tools, found beside Python first
places        whether an address is on this machine
git           the user's checkout, which is only read, and the clone in which a release is prepared
project       what pyproject.toml and the folders say about a package
versions      which number to raise, and raising it
changelog     the entries of a release, from its commits
dependencies  what the release depends on, and what is known against it
candidate     the release commit, beside the last release
api           the public API of two trees, compared
lint          ruff, asked for certain rules
review        API, tests and lint of what changed
security      security rules and secrets
environments  fresh virtual environments, and trees that are tested in them
performance   benchmarks against the last release
verdict       the gate: all reports in one answer
artifacts     one wheel, built and tested
tags          the release on the remote, and back
index         a package index: a URL, or a folder
server        the program that serves a folder as an index
deployment    the wheel on an index, and back
notes         the release notes
inputs        what can be released: checked once, before a run begins
sample        a package to release when none is given
"""
