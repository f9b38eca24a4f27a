import doctest
import importlib
import pkgutil

import pytest

from recipes import shipping

MODULES = [f"recipes.shipping.{module.name}" for module in pkgutil.iter_modules(shipping.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    """The examples in the helpers' docstrings are true."""
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_overview() -> None:
    """The package's docstring lists every helper once."""
    listed = [line.split()[0] for line in (shipping.__doc__ or "").splitlines()[2:] if line]
    assert sorted(listed) == sorted(name.rpartition(".")[2] for name in MODULES)
