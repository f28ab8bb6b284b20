FLAGS: dict[str, str]
LEVELS: tuple[str, ...]
VERSION: str
