"""Launcher, pipelines, strided and stored blocks, and the compiler of rules: all that is not one family's maths."""
