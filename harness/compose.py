"""Hydra's door: overrides in, plain data out; one job or a sweep of them.

Search path, first found wins: the user's `conf/`, the user's `experiments/`, the packaged `conf/`.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from harness.config import Config, choices, conf_folder, parse, user_folders
from harness.errors import ConfigError, unknown_name

CONFIG_NAME = "config"


def compose(overrides: Sequence[str]) -> Config:
    """Composes one job's configuration.

    Raises:
        ConfigError: one line, with the nearest names for a misspelt choice.
    """
    with _hydra() as hydra, _errors_in_one_line():
        tree = hydra.compose_config(
            CONFIG_NAME, _with_study(overrides), run_mode=RunMode.RUN, with_log_configuration=False
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
        ConfigError: where a job's configuration cannot be composed.
    """
    with _hydra() as hydra, _errors_in_one_line():
        results = hydra.multirun(CONFIG_NAME, task, _with_study(overrides), with_log_configuration=False)
    batches = results if results and isinstance(results[0], list) else [results]
    return [job.return_value for batch in batches for job in batch]


@contextmanager
def _hydra() -> Iterator[Hydra]:
    GlobalHydra.instance().clear()
    search_path = create_config_search_path(str(conf_folder()))
    for folder in reversed(user_folders()):
        search_path.prepend("user", f"file://{folder}")
    try:
        yield Hydra.create_main_hydra2("harness", search_path)
    finally:
        GlobalHydra.instance().clear()


def _with_study(overrides: Sequence[str]) -> list[str]:
    """`study=NAME` also composes `experiments/NAME/config.yaml` where there is one."""
    extended = list(overrides)
    for override in overrides:
        name = override.removeprefix("study=")
        if name != override and any((folder / name / "config.yaml").is_file() for folder in user_folders()):
            extended.append(f"+{name}=config")
    return extended


@contextmanager
def _errors_in_one_line() -> Iterator[None]:
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_one_line(str(error))) from error


def _one_line(message: str) -> str:
    missing = re.search(r"Could not find '(?P<group>[^']+)/(?P<name>[^'/]+)'", message)
    if missing:
        group, name = missing["group"].split("/")[0], missing["name"]
        return unknown_name(f"choice for {group}", name, choices(group))
    unknown = re.search(r"Could not override '(?P<key>[^']+)'", message)
    if unknown:
        return unknown_name("key", unknown["key"], _keys(compose([])))
    ambiguous = re.search(r"Ambiguous value for argument '(?P<argument>[^']+)'", message)
    if ambiguous:
        key, _, values = ambiguous["argument"].partition("=")
        return f"{ambiguous['argument']}: several values sweep with -m, or make one list as {key}=[{values}]"
    missing_value = re.search(r"full_key: (?P<key>\S+)", message) if "Missing mandatory" in message else None
    if missing_value:
        return f"missing value: {missing_value['key']} (give it as {missing_value['key']}=…)"
    mismatch = re.search(r"full_key: (?P<key>\S+)", message)
    if mismatch:
        return f"{mismatch['key']}: {message.splitlines()[0]}"
    return " ".join(line.strip() for line in message.splitlines() if line.strip())[:400]


def _keys(config: Config) -> list[str]:
    """The dotted keys of the default configuration."""
    groups = config.model_dump(exclude={"tta"}).items()
    return [
        key
        for group, value in groups
        for key in ([f"{group}.{name}" for name in value] if isinstance(value, dict) else [group])
    ]
