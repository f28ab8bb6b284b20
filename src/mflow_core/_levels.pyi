LEVELS: tuple[str, ...]
VERSION: str
