"""The page of what other programs import names what there is."""

import importlib
import subprocess
import sys

import pytest
from _site.python import MODULES, python

NAMES = [(module, name) for modules in MODULES.values() for module, names in modules.items() for name in names]


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_every_name_is_there_and_says_what_it_is(module: str, name: str) -> None:
    """It can be imported from where the page says, and has a docstring of its own."""
    found = getattr(importlib.import_module(module), name)
    assert vars(found).get("__doc__") or found.__doc__
    assert f":: {module}.{name}\n" in python()


def test_none_of_it_needs_tensorflow() -> None:
    """Importing all of it loads neither TensorFlow nor Keras nor MLflow."""
    imports = "; ".join(f"import {module}" for module in sorted({module for module, _ in NAMES}))
    code = f"{imports}; import sys; print({{'tensorflow', 'keras', 'mlflow'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
