"""The normalizations' benches."""
