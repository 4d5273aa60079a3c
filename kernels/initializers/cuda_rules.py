"""What of initial weights is written otherwise for a GPU."""


def word_of(a, b, c, d, which):
    """Word number `which` of a counter's four."""
    low = a if which == 0 else b
    high = c if which == 2 else d
    return low if which < 2 else high
