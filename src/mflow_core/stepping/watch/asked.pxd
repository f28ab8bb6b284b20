"""What the driver of a run tells it about walls and poles in time."""
from mflow_core.stepping.stepper cimport Run

cpdef look_for_walls(Run run)
cpdef look_for_poles(Run run, double h)
