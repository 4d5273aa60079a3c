"""`fastopt demo`: a network trained on real handwritten digits, beside the reference."""
