"""End values."""

END_VALUES: dict[str, tuple[float, ...]] = {}
