"""`harness ui`: the MLflow UI on loopback, with the link that opens at the results."""

import argparse
import sys

from harness.compose import compose
from harness.tracking.location import public_uri, resolve_uri
from harness.tracking.ui import check_port, serve_ui, ui_link


def main(options: argparse.Namespace, overrides: list[str]) -> int:
    """Prints the link and serves until Ctrl-C; for a server that runs already the link is all."""
    tracking = compose(overrides).tracking
    uri = resolve_uri(tracking.uri)
    remote = uri.startswith("http")
    if not remote:
        check_port(options.port)
    link = ui_link(uri, experiment=tracking.experiment, port=options.port)
    print(f"open {link}", flush=True)
    if not remote:
        print(f"serving {public_uri(uri)} in about ten seconds; Ctrl-C stops it", file=sys.stderr, flush=True)
        serve_ui(uri, port=options.port)
    return 0
