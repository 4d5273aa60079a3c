"""The optimizers' benches."""
