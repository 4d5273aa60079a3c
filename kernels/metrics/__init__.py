"""The metrics' benches."""
