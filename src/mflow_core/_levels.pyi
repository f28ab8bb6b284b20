FLAGS: dict[str, str]
LEVELS: tuple[str, ...]
LIBRARIES: dict[str, str]
VERSION: str
