"""The elementwise work on many arrays, for one element."""


def scale(x, factor):
    return factor * x


def axpby(x, y, a, b):
    return a * x + b * y
