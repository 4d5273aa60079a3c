ADAM: dict[tuple[str, ...], int]
