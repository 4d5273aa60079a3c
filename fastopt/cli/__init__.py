"""The command line: `fastopt demo`, `bench`, `check` and `info`."""
