"""One module a command, each with `main(options, overrides) -> exit code`."""
