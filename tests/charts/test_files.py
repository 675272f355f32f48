"""Pictures as files, and the script that draws them in a browser."""

import struct
import xml.etree.ElementTree as ET  # of our own drawing
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.charts import files
from harness.charts.gains import draw_gains
from harness.records import JobRecord

MakeJob = Callable[..., JobRecord]


def test_each_picture_is_a_png_and_an_svg_with_its_title(make_job: MakeJob, tmp_path: Path) -> None:
    """The PNG is large enough to be read; the SVG holds the finding and every policy as text."""
    found = draw_gains(make_job())
    assert found is not None
    files.write_pictures({"gains": files.as_svg(found)}, tmp_path / "plots")
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {"gains.png", "gains.svg"}
    data = (tmp_path / "plots" / "gains.png").read_bytes()
    width, height = struct.unpack(">II", data[16:24])
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert width >= 2 * files.WIDTH
    assert height >= 150
    texts = " ".join(text for text in ET.fromstring((tmp_path / "plots" / "gains.svg").read_text()).itertext())
    assert all(word in texts for word in ("Accuracy of 2 policies", "★ policy_1", "policy_2", "accuracy gain"))


def test_the_library_is_bundled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes seconds: what was kept is read, and a cache that cannot be written stops nothing."""
    calls = []
    monkeypatch.setattr(files.vl_convert, "javascript_bundle", lambda snippet: calls.append(snippet) or "script")
    assert [files.javascript(tmp_path) for _ in range(3)] == ["script"] * 3
    assert len(calls) == 1
    (tmp_path / "file").write_text("")
    assert files.javascript(tmp_path / "file") == "script"
