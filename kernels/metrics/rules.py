"""The metrics of one element: plain Python that Numba compiles for every target. NaN travels as the formula says."""


def squared_error(y_true, y_pred):
    error = y_pred - y_true
    return error * error


def absolute_error(y_true, y_pred):
    return abs(y_pred - y_true)
