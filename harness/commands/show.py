"""`harness show`: a picture of what the views of the policies make of sample images."""

import argparse
from pathlib import Path

from harness.compose import compose
from harness.contact_sheet import write_contact_sheet
from harness.errors import ConfigError
from harness.policies.policy import required_views
from harness.runner import input_shape, prepare

MOST_VIEWS = 120
MOST_IMAGES = 32


def main(options: argparse.Namespace, overrides: list[str]) -> int:
    """Writes the picture and says where it is; nothing is trained or predicted; 0."""
    if not 1 <= options.images <= MOST_IMAGES:
        raise ConfigError(f"--images must be between 1 and {MOST_IMAGES}, got {options.images}")
    path = _target(options.picture)
    job = prepare(compose(overrides))
    views = required_views(job.policies)
    shown = views[:MOST_VIEWS]
    test = job.dataset.test
    write_contact_sheet(path, test, shown, size=input_shape(job)[:2], images=options.images)
    for note in job.notes:
        print(note)
    rows = min(options.images, len(test))
    print(f"{path}: {rows} image{'s' if rows > 1 else ''} of {job.dataset.name}, {len(shown)} views, identity first")
    if len(views) > len(shown):
        print(f"left out: {', '.join(view.name for view in views[MOST_VIEWS:])}")
    return 0


def _target(given: str | None) -> Path:
    path = Path(given or "views.png").expanduser()
    if path.suffix.lower() != ".png" or path.is_dir():
        raise ConfigError(f"--output takes a file that ends in .png, got {str(path)!r}")
    return path
