"""Completion: what a shell is offered, in argcomplete's protocol and in a real bash; and that it loads little."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness.commands.completion import without_overrides
from harness.commands.override_candidates import candidates

HEAVY = {"tensorflow", "keras", "mlflow", "sklearn", "pandas", "matplotlib", "scipy", "pyarrow", "sqlalchemy", "hydra"}
PROGRAM = """
import io, os, sys
from harness.commands.completion import answer
found = io.StringIO()
def leave(code):
    print(found.getvalue())
    print("LOADED", *sorted({name.split(".")[0] for name in sys.modules}))
    sys.exit(0)
answer(output_stream=found, exit_method=leave)
"""


def offered(line: str, folder: Path) -> tuple[set[str], set[str]]:
    """What is offered at the end of a line, and the packages that were loaded for it."""
    protocol = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\v", "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
                "_ARGCOMPLETE_SHELL": "fish", "COMP_LINE": line, "COMP_POINT": str(len(line))}  # fmt: skip
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=folder, env={**os.environ, **protocol},
                          capture_output=True, text=True, check=True, timeout=60)  # fmt: skip
    words, _, loaded = done.stdout.partition("LOADED")
    # What fish shows beside a word follows a tab.
    return {word.partition("\t")[0] for word in words.strip("\n").split("\v") if word}, set(loaded.split())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("harness ru", {"run"}),
        ("harness run dataset=fa", {"dataset=fashion_mini", "dataset=fashion_mnist"}),
        ("harness run seed=1 --json en", {"engine="}),
        ("harness run --mul", {"--multirun"}),
        ("harness cache gc --dry", {"--dry-run"}),
        ("harness cache explain seed=3 model=small", {"model=small_cnn"}),
        ("harness list data", {"datasets"}),
        ("harness report res", {"results/net-1"}),
        ("harness export results/net-1 --policy p --format=ke", {"--format=keras"}),
    ],
)
def test_the_protocol(line: str, expected: set[str], tmp_path: Path) -> None:
    """Commands, flags, choices of a group behind other overrides and flags, jobs; no heavy library is loaded for it."""
    (tmp_path / "results" / "net-1").mkdir(parents=True)
    (tmp_path / "results" / "net-1" / "record.json").write_text("{}")
    words, loaded = offered(line, tmp_path)
    assert words == expected
    assert loaded & HEAVY == set()


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("training.sch", ["training.schedule="]),
        ("+training.sch", ["+training.schedule="]),
        ("training.schedule=", ["training.schedule=constant", "training.schedule=cosine"]),
        ("training.deterministic=", ["training.deterministic=true", "training.deterministic=false"]),
        ("engine=f", ["engine=fast"]),
        ("tta=suite/q", ["tta=suite/quick"]),
        ("tta=[hflip,d", ["tta=[hflip,d4,", "tta=[hflip,d4]", "tta=[hflip,discard_subsampling,",
                          "tta=[hflip,discard_subsampling]", "tta=[hflip,discard_subsampling_pairs,",
                          "tta=[hflip,discard_subsampling_pairs]"]),
        ("dataset=digits,cifar100", ["dataset=digits,cifar100"]),
        ("corruption=fo", ["corruption=fog"]),
        ("severity=a", ["severity=all"]),
        ("dataset.path=ph", ["dataset.path=photos/"]),
        ("dataset.path=photos/c", ["dataset.path=photos/cats/"]),
        ("dataset.path=nowhere/", []),
        ("tta.d4.agg", ["tta.d4.aggregation="]),
        ("tta.hflip", []),
        ("study=", ["study=mine"]),
        ("nonsense=", []),
        ("nonsense", []),
    ],
)  # fmt: skip
def test_overrides(prefix: str, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys, choices, values of a few, entries of a list, paths; below `tta.` the policies that the line names."""
    for folder in ("photos/cats", "photos/.hidden", "experiments/mine"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert candidates(prefix, ["tta=[d4,shifts]", "seed=1"]) == expected


def test_a_users_own_policy_is_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies in the user's `conf/` completes like ours."""
    (tmp_path / "conf" / "tta").mkdir(parents=True)
    (tmp_path / "conf" / "tta" / "zebra.yaml").write_text("zebra:\n  views: [identity]\n")
    monkeypatch.chdir(tmp_path)
    assert candidates("tta=zeb", []) == ["tta=zebra"]


def test_the_line_without_its_overrides() -> None:
    """Finished ones are taken out; what is being typed, flags with values and quoted words stay."""
    line = "harness run a=1 --output=x 'q=2' b.c=[d,e] --json tt"
    assert without_overrides(line, point=len(line)) == ("harness run --output=x 'q=2' --json tt", ["a=1", "b.c=[d,e]"])
    assert without_overrides(line, point=14) == ("harness run a=", [])


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script(harness: Any, shell: str) -> None:
    """Each shell gets a script that is about `harness` and speaks argcomplete's protocol."""
    answer = harness("completion", shell)
    assert (answer.code, "_ARGCOMPLETE" in answer.out, "harness" in answer.out) == (0, True, True)
    assert harness("completion", "tcsh").code == 2


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_a_real_bash(tmp_path: Path) -> None:
    """In an interactive bash TAB completes a choice to its end, and offers a key without a blank behind its `=`."""
    program = tmp_path / "harness"
    program.write_text(f"#!{sys.executable}\nfrom harness.cli import main\nmain()\n")
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "TERM": "dumb", "HOME": str(tmp_path)}
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(tmp_path)
        os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], environment)
    try:
        _typed(terminal, "eval \"$(harness completion bash)\"; echo REA''DY\n", "READY")
        _typed(terminal, "harness run dataset=fashion_mi\t", "fashion_mini ")
        _typed(terminal, "training.ep\t3", "training.epochs=3")
    finally:
        os.kill(process, 9)
        os.waitpid(process, 0)
        os.close(terminal)


def _typed(terminal: int, text: str, expected: str) -> None:
    """Types a text and waits until what is expected is seen."""
    os.write(terminal, text.encode())
    seen, until = "", time.monotonic() + 60
    while expected not in re.sub(r"[\x07\r]|\x1b\[[0-9;?]*[a-zA-Z]", "", seen):
        assert time.monotonic() < until, seen
        if select.select([terminal], [], [], 0.2)[0]:
            seen += os.read(terminal, 4096).decode(errors="replace")
