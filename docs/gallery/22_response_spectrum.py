"""Response spectra
================

How hard the ground shakes a house, by the period of the house: the largest answer of oscillators with 2, 5 and 10 per cent of critical
damping to one burst of ground motion. Stiff houses move with the ground (left), tall ones stay where they are (right).
"""

import numpy as np

import mflow
from mflow import plot

t = np.arange(0, 20, 0.01)
ground = 3.0 * np.sin(2 * np.pi * t * (0.5 + 0.1 * t)) * (t / 4) ** 2 * np.exp(2 - t / 2)
periods = np.geomspace(0.05, 5, 120)
spectra = [mflow.response_spectrum((t, ground), periods, zeta) for zeta in (0.02, 0.05, 0.10)]
ax = plot.spectrum(spectra, labels=["2 %", "5 %", "10 %"])
ax.set_title("Pseudo-acceleration")
ax.figure.savefig("22_response_spectrum.png", dpi=90)
