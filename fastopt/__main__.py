"""`python -m fastopt` is `fastopt`."""

from fastopt.cli import main

main()
