"""The losses' benches."""
