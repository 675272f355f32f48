"""`harness ui`: the MLflow UI on loopback, and the links that open at the results."""

import argparse
import os
import sys
import webbrowser

from harness.compose import compose
from harness.tracking.location import public_uri, resolve_uri
from harness.tracking.ui import check_port, serve_ui, ui_links


def main(options: argparse.Namespace, overrides: list[str]) -> int:
    """Prints the links, opens the first, serves until Ctrl-C; for a server that runs already the links are all."""
    tracking = compose(overrides).tracking
    uri = resolve_uri(tracking.uri)
    remote = uri.startswith("http")
    if not remote:
        check_port(options.port)
    links = ui_links(uri, experiment=tracking.experiment, port=options.port, arranged=tracking.arrange)
    print(f"leaderboard  {links.leaderboard}\ncharts       {links.charts}", flush=True)
    opens = not options.no_open and sys.stdout.isatty() and has_screen()

    def ready() -> None:
        print("ready; Ctrl-C stops it", file=sys.stderr, flush=True)
        if opens:
            webbrowser.open(links.leaderboard)

    if remote:
        if opens:
            webbrowser.open(links.leaderboard)
        return 0
    print(f"starting the MLflow UI of {public_uri(uri)}, about ten seconds …", file=sys.stderr, flush=True)
    serve_ui(uri, port=options.port, ready=ready)
    return 0


def has_screen() -> bool:
    """Whether a browser can show a window; a browser in the terminal would take it over and show nothing."""
    return sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
