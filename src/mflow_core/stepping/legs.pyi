from collections.abc import Mapping

from mflow_core.registry import MethodRecord
from mflow_core.solvers.solver import Solver
from mflow_core.stepping.stepper import Run

STIFF: int
MILD: int
FAILED: int
REFUSED: int

def read_inside(run: Run) -> None: ...
def look_for_walls(run: Run) -> None: ...
def go_behind_wall(run: Run) -> None: ...

class Legs(Run):
    partner_record: MethodRecord
    def partner(self, record: MethodRecord, parameters: Mapping[str, float], solver: Solver) -> None: ...
    @property
    def active(self) -> MethodRecord: ...
    @property
    def steps_taken(self) -> tuple[int, int]: ...
    @property
    def turns(self) -> list[tuple[int, float, int, float]]: ...
