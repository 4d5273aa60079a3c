"""`fastopt bench`: every op timed, beside the peers that are installed."""
