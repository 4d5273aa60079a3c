"""The initializers' benches."""
