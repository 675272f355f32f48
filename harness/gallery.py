"""Images that a policy rescued and harmed, with what each of its views shows and what the model says to it.

    gallery/rescued-1.png   the views of one image side by side, in the order of `gallery.json`
    gallery/gallery.json    what the images are, and what identity, the policy and each view predict

Few and small, for people: what can be counted is in the tables. V views, N examples, H height, W width.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from harness.errors import DataError
from harness.evaluation import PolicyResult
from harness.files import make_folder, write_bytes
from harness.logspace import log_softmax
from harness.record_files import GALLERY, write_text
from harness.types import Split
from harness.views import View

INDEX = "gallery.json"
MOST_IMAGES = 6  # rescued, and as many harmed
MOST_VIEWS = 8
LARGEST_SIDE = 96  # of a view, in pixels

Kind = Literal["rescued", "harmed"]


@dataclass(frozen=True)
class Said:
    """A prediction: the class's name and its probability."""

    predicted: str
    confidence: float


@dataclass(frozen=True)
class Shown:
    """One view of an image: its name, and what the model says to it alone."""

    view: str
    said: Said


@dataclass(frozen=True)
class Exhibit:
    """One image.

    Attributes:
        kind: `rescued` where identity is wrong and the policy right, `harmed` for the reverse.
        file: its picture below `gallery/`, the views side by side.
        example: its id. label: its class.
        identity, policy: what they predict.
        views: in the order of the picture.
    """

    kind: Kind
    file: str
    example: str
    label: str
    identity: Said
    policy: Said
    views: tuple[Shown, ...]


@dataclass(frozen=True)
class Gallery:
    """The images of one policy.

    Attributes:
        policy: its name. rescued, harmed: how many there are in all.
        views_left_out: how many of its views are not shown.
        exhibits: the largest gains in NLL of the rescued first, then the largest losses of the harmed.
    """

    policy: str
    rescued: int
    harmed: int
    views_left_out: int
    exhibits: tuple[Exhibit, ...]


def make_gallery(
    identity: PolicyResult,
    policy: PolicyResult,
    test: Split,
    logits: Mapping[View, np.ndarray],
    *,
    size: tuple[int, int],
) -> tuple[Gallery, dict[str, np.ndarray]]:
    """The images on which the policy and identity differ most, and their pictures by file name.

    Args:
        identity: its result on `test`.
        policy: its result on `test`.
        test: the images, labels and class names.
        logits: `[N, C]` of test under each view of the policy.
        size: (H, W) of the model.

    Returns:
        The gallery, and uint8 arrays `[H, V * W, channels]` of at most 96 pixels in height and width of a view.
    """
    places = {"rescued": _largest(policy, identity), "harmed": _largest(identity, policy)}
    views = policy.policy.views[:MOST_VIEWS]
    exhibits: list[Exhibit] = []
    pictures: dict[str, np.ndarray] = {}
    kinds: tuple[Kind, ...] = ("rescued", "harmed")
    for kind in kinds:
        chosen = places[kind][:MOST_IMAGES]
        seen = _seen(views, test, chosen, size=size)
        for number, place in enumerate(chosen):
            file = f"{kind}-{number + 1}.png"
            pictures[file] = seen[number]
            exhibits.append(_exhibit(kind, file, int(place), identity, policy, test, views=views, logits=logits))
    counts = {kind: len(found) for kind, found in places.items()}
    left_out = len(policy.policy.views) - len(views)
    return Gallery(policy.policy.name, **counts, views_left_out=left_out, exhibits=tuple(exhibits)), pictures


def write_gallery(folder: Path, gallery: Gallery, pictures: Mapping[str, np.ndarray]) -> None:
    """Writes the pictures and then `gallery.json` into a job's folder.

    Raises:
        StoreError: where the folder cannot be written.
    """
    make_folder(folder / GALLERY)
    for name, pixels in pictures.items():
        write_bytes(folder / GALLERY / name, png(pixels))
    write_text(folder / GALLERY / INDEX, json.dumps(asdict(gallery), indent=1, ensure_ascii=False) + "\n")


def read_gallery(folder: Path) -> Gallery | None:
    """The gallery of a job's folder, None where there is none.

    Raises:
        DataError: for a file that is none of ours.
    """
    path = folder / GALLERY / INDEX
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Gallery(**{**data, "exhibits": tuple(_read_exhibit(one) for one in data["exhibits"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path} is damaged ({error!r}): delete the folder, or run the job again") from error


def tiles(folder: Path, exhibit: Exhibit) -> list[bytes]:
    """Each view of an image as a PNG of its own, in order.

    Raises:
        DataError: where the picture is missing or damaged.
    """
    path = folder / GALLERY / exhibit.file
    try:
        with Image.open(path) as strip:
            pixels = np.asarray(strip)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error}): delete the gallery, or run the job again") from error
    pixels = pixels if pixels.ndim == 3 else pixels[..., None]
    return [png(part) for part in np.split(pixels, len(exhibit.views), axis=1)]


def png(pixels: np.ndarray) -> bytes:
    """A uint8 array `[H, W, channels]` as a PNG; grey for one or two channels, the first three of more."""
    stream = io.BytesIO()
    image = Image.fromarray(pixels[..., :3]) if pixels.shape[2] >= 3 else Image.fromarray(pixels[..., 0])
    image.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _largest(right: PolicyResult, wrong: PolicyResult) -> np.ndarray:
    """The places of all images that one gets right and the other wrong, the largest difference in NLL first."""
    places = np.flatnonzero(right.scores.correct & ~wrong.scores.correct)
    gain = wrong.scores.nll[places] - right.scores.nll[places]
    return places[np.argsort(-gain, kind="stable")]


def _seen(views: Sequence[View], test: Split, places: np.ndarray, *, size: tuple[int, int]) -> list[np.ndarray]:
    """For each image its views side by side, uint8 `[H, V * W, channels]`."""
    if len(places) == 0:
        return []
    images = test.images.read(places)
    inputs = [np.clip(np.rint(view(images, places, size=size)), 0, 255).astype(np.uint8) for view in views]
    return [np.concatenate([_small(one[number]) for one in inputs], axis=1) for number in range(len(places))]


def _small(pixels: np.ndarray) -> np.ndarray:
    """The image, made smaller where it is larger than a thumbnail."""
    scale = LARGEST_SIDE / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    height, width = (max(1, round(scale * side)) for side in pixels.shape[:2])
    planes = [
        np.asarray(Image.fromarray(pixels[..., channel]).resize((width, height), Image.Resampling.BOX))
        for channel in range(pixels.shape[2])
    ]
    return np.stack(planes, axis=-1)


def _exhibit(
    kind: Kind,
    file: str,
    place: int,
    identity: PolicyResult,
    policy: PolicyResult,
    test: Split,
    *,
    views: Sequence[View],
    logits: Mapping[View, np.ndarray],
) -> Exhibit:
    names = test.class_names

    def said(result: PolicyResult) -> Said:
        return Said(names[int(result.scores.predicted[place])], float(result.scores.confidence[place]))

    def shown(view: View) -> Shown:
        probs = np.exp(log_softmax(np.asarray(logits[view][place], np.float64)[None]))[0]
        return Shown(view.name, Said(names[int(probs.argmax())], float(probs.max())))

    return Exhibit(
        kind=kind,
        file=file,
        example=str(test.ids[place]),
        label=names[int(test.labels[place])],
        identity=said(identity),
        policy=said(policy),
        views=tuple(shown(view) for view in views),
    )


def _read_exhibit(data: dict[str, Any]) -> Exhibit:
    views = tuple(Shown(one["view"], Said(**one["said"])) for one in data["views"])
    return Exhibit(**{**data, "identity": Said(**data["identity"]), "policy": Said(**data["policy"]), "views": views})
