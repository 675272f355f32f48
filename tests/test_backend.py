"""The door to Keras and TensorFlow."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A fresh Python process in the repository."""
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True
    )


def test_start_is_quiet_and_passes_on_what_is_not_noise() -> None:
    """Importing TensorFlow and running a first operation writes nothing; other lines on stderr still arrive."""
    code = (
        "import os, harness.backend as b; b.prepare(); b.prepare(); b.tf.random.stateless_normal([2], [1, 2]);\n"
        "with b.without_noise(): os.write(2, b'oneDNN custom operations are on\\nreal trouble\\n')"
    )
    done = run(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "real trouble\n")


def test_without_tensorflow_one_line_names_the_extras() -> None:
    """Where TensorFlow is not installed, the error names both extras that bring it."""
    code = (
        "import sys; sys.modules['tensorflow'] = None\n"
        "from harness.errors import ModelError\n"
        "try: import harness.backend\n"
        "except ModelError as error: print(error)"
    )
    message = run(code).stdout
    assert "tta-harness[cpu]" in message
    assert "tta-harness[gpu]" in message
    assert message.count("\n") == 1


def test_names_are_listed_without_tensorflow() -> None:
    """Names of models and augmentations, fingerprints and the look into the store need no TensorFlow."""
    code = (
        "import sys, pathlib\n"
        "import harness.models.cache as cache, harness.models.registry as registry, harness.models.specs\n"
        "assert 'small_cnn' in registry.model_kinds()\n"
        "assert cache.find_cached(pathlib.Path('nowhere'), name='a', fingerprint='0' * 64) is None\n"
        "print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    assert run(code).stdout == "[]\n"
