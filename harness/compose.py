"""Hydra's door: overrides in, plain data out; one job or a sweep of them.

Search path, first found wins: the user's `conf/`, the user's `experiments/`, the packaged `conf/`.
Hydra writes nothing but a sweep's `multirun.yaml`, below `.harness/sweeps`; it neither logs nor changes the folder.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

import yaml
from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from harness.config import Config, PolicyNode, choices, conf_folder, parse, unknown_key, user_folders
from harness.errors import ConfigError, TrainingError, unknown_name

CONFIG_NAME = "harness"  # not Hydra's usual "config": a user's own conf/config.yaml of another program is not ours
GROUPS = ("dataset", "model", "training", "augmentation", "views", "evaluation", "tracking")
OPEN = ("dataset.keys", "dataset.arguments", "model.arguments", "augmentation.arguments")
POLICY_KEYS = tuple(f".{name}" for name in PolicyNode.model_fields)
QUIET = (
    "hydra/job_logging=none",
    "hydra/hydra_logging=none",
    "hydra.output_subdir=null",
    "hydra.job.chdir=false",
    "hydra.sweep.dir=.harness/sweeps/${now:%Y-%m-%d_%H-%M-%S}",
    "hydra.sweep.subdir=.",
)


def compose(overrides: Sequence[str]) -> Config:
    """Composes one job's configuration.

    Raises:
        ConfigError: one line, with the nearest names for a misspelt choice.
    """
    with _hydra() as hydra, _errors_in_one_line():
        tree = hydra.compose_config(
            CONFIG_NAME, _checked(overrides), run_mode=RunMode.RUN, with_log_configuration=False
        )
        return to_config(tree)


def to_config(tree: DictConfig) -> Config:
    """The typed configuration of a composed tree, interpolations resolved, Hydra's own node left out."""
    with _errors_in_one_line():
        plain = OmegaConf.masked_copy(tree, [str(key) for key in tree if key != "hydra"])
        data: Any = OmegaConf.to_container(plain, resolve=True, throw_on_missing=True)
    return parse(data)


def sweep(overrides: Sequence[str], task: Callable[[DictConfig], Any]) -> list[Any]:
    """Runs a Hydra multirun with its sweeper and launcher; returns what `task` returned for each job, in order.

    `task` must not raise: a job that fails says so in what it returns, so that the others still run.

    Raises:
        ConfigError: where a job's configuration cannot be composed; then none is run.
        TrainingError: where a worker process of a parallel launcher died.
    """
    with _hydra() as hydra, _errors_in_one_line():
        try:
            results = hydra.multirun(CONFIG_NAME, task, [*QUIET, *_checked(overrides)], with_log_configuration=False)
        except BrokenProcessPool as error:
            raise TrainingError(
                "a worker process died (killed, or out of memory): finished jobs are kept; issue the command again, "
                "perhaps with a smaller hydra.launcher.n_jobs"
            ) from error
    batches = results if results and isinstance(results[0], list) else [results]
    return [job.return_value for batch in batches for job in batch]


def job_overrides() -> list[str]:
    """The overrides of the job of a sweep that is running now."""
    overrides = [str(override) for override in HydraConfig.get().overrides.task]
    ours = [item for override in overrides if override.startswith("study=") for item in _study(override[6:])]
    return [_plain(override) for override in overrides if override not in ours]


@contextmanager
def _hydra() -> Iterator[Hydra]:
    GlobalHydra.instance().clear()
    version.setbase("1.3")
    search_path = create_config_search_path(str(conf_folder()))
    for folder in reversed(user_folders()):
        search_path.prepend("user", f"file://{folder}")
    try:
        yield Hydra.create_main_hydra2("harness", search_path)
    finally:
        GlobalHydra.instance().clear()


def _checked(overrides: Sequence[str]) -> list[str]:
    """The overrides, after what Hydra would misread; `study=NAME` also composes `experiments/NAME/config.yaml`."""
    extended = [_open(override) for override in overrides]
    for override in overrides:
        key, _, value = override.partition("=")
        if key == "study":
            extended += _study(value)
        if key == "tta" and value in ("", "null", "[]"):
            raise ConfigError("tta takes at least one policy or suite, as in tta=hflip or tta=[hflip,d4]")
        if key in GROUPS and (value in ("", "null") or value.startswith("[")):
            raise ConfigError(f"{key} takes one choice, got {value!r}; known: {', '.join(choices(key))}")
    return extended


def _open(override: str) -> str:
    """An override below a mapping whose keys only its reader knows (`dataset.keys`, `arguments`) may add keys.

    So may one of a policy's keys: a policy's file names those that differ from their default only.
    """
    key = override.partition("=")[0]
    of_policy = key.startswith("tta.") and key.count(".") >= 2 and key.endswith(POLICY_KEYS)
    return f"++{override}" if of_policy or override.startswith(OPEN) else override


def _plain(override: str) -> str:
    return override[2:] if _open(override[2:]) == override else override


def _study(name: str) -> list[str]:
    """The override that composes a study's configuration; a folder without one is a label only."""
    folders = [folder for folder in user_folders() if folder.name == "experiments"]
    if any((folder / name / "config.yaml").is_file() for folder in folders):
        return [f"+{name}=config"]
    known = [path.name for folder in folders for path in folder.iterdir() if path.is_dir()]
    if known and name not in known and name not in ("", "null"):
        raise ConfigError(unknown_name("study", name, known))
    return []


@contextmanager
def _errors_in_one_line() -> Iterator[None]:
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_one_line(str(error))) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"a file of the configuration is not YAML: {' '.join(str(error).split())}") from error


def _one_line(message: str) -> str:
    missing = re.search(r"Could not (?:find|load) '(?P<group>[^'/]+)/(?P<name>[^']+)'", message)
    if missing and missing["group"] == "hydra":
        return f"{missing['name']} is not there; for hydra/launcher=joblib: pip install 'tta-harness[joblib]'"
    if missing:
        return unknown_name(f"choice for {missing['group']}", missing["name"], choices(missing["group"]))
    unknown = re.search(r"Could not override '(?P<key>[^']+)'", message)
    if unknown:
        return unknown_key(unknown["key"])
    ambiguous = re.search(r"Ambiguous value for argument '(?P<argument>[^']+)'", message)
    if ambiguous:
        key, _, values = ambiguous["argument"].partition("=")
        return f"{ambiguous['argument']}: several values sweep with -m, or make one list as {key}=[{values}]"
    missing_value = re.search(r"full_key: (?P<key>\S+)", message) if "Missing mandatory" in message else None
    if missing_value:
        return f"missing value: {missing_value['key']} (give it as {missing_value['key']}=…)"
    if "LexerNoViableAlt" in message or "no viable alternative" in message:
        said = message.splitlines()[0].removeprefix("LexerNoViableAltException: ")[:200]
        return f"cannot read {said!r}: put a value with special characters in quotes, key='\"value\"'"
    mismatch = re.search(r"full_key: (?P<key>\S+)", message)
    if mismatch:
        return f"{mismatch['key']}: {message.splitlines()[0]}"
    return " ".join(line.strip() for line in message.splitlines() if line.strip())[:400]
