"""Metrics: errors, right and wrong labels, counts by class, ranks of scores."""
