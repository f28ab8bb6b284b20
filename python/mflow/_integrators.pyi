"""Written by tools/make_stubs.py from the rows: do not edit."""

from mflow.methods import Method

class Euler(Method):
    def __init__(self) -> None: ...

class RK2(Method):
    def __init__(self) -> None: ...

class Midpoint(Method):
    def __init__(self) -> None: ...

class RK3(Method):
    def __init__(self) -> None: ...

class RK4(Method):
    def __init__(self) -> None: ...

class TVDRK2(Method):
    def __init__(self) -> None: ...

class TVDRK3(Method):
    def __init__(self) -> None: ...

class SSPRK104(Method):
    def __init__(self) -> None: ...
