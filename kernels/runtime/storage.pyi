LOAD: dict[str, tuple[int, int]]
STORE: dict[str, tuple[int, int]]
