"""The modules of `docs/_site` are found as Sphinx finds them."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent.parent / "docs"))
