"""`harness ui`: the MLflow UI on loopback, with the link that opens at the results."""

import argparse
import sys

from harness.compose import compose
from harness.tracking.location import public_uri, resolve_uri
from harness.tracking.ui import serve_ui, ui_link


def main(options: argparse.Namespace, overrides: list[str]) -> int:
    """Prints the link and becomes the server; for a server that runs already the link is all."""
    tracking = compose(overrides).tracking
    uri = resolve_uri(tracking.uri)
    link = ui_link(uri, experiment=tracking.experiment, port=options.port)
    print(f"open {link}", flush=True)
    if uri.startswith("http"):
        return 0
    print(f"serving {public_uri(uri)}; Ctrl-C stops it", file=sys.stderr, flush=True)
    serve_ui(uri, port=options.port)
    return 0
