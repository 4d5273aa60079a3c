"""`python -m fastopt` is `fastopt`."""

from fastopt.cli.app import main

main()
