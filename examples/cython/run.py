"""Runs the compiled example: `python run.py`."""

import numpy as np
import orbits

start = np.array([0.5, 0.0, 0.0, np.sqrt(3.0)])  # eccentricity 1/2: period 2 pi
y = start.copy()
orbits.orbit(y, 2 * np.pi / 2000, 2000)
print("after one period, rk4:", np.abs(y - start).max())
assert np.abs(y - start).max() < 1e-7

print("after one period, dopri5:", np.abs(np.array(orbits.orbit_to(start, 2 * np.pi, 1e-10)) - start).max())
assert np.allclose(orbits.orbit_to(start, 2 * np.pi, 1e-10), start, atol=1e-7)

angle = np.linspace(0, 5, 40)
found = orbits.fit_circle(np.column_stack([2 + 3 * np.cos(angle), -1 + 3 * np.sin(angle)]), 0.05, 4000)
print("circle:", found)
assert np.allclose(found, (2, -1, 3), atol=1e-6)
