"""The energy ledger of a motion: kinetic, potential, works, and what the steps themselves put in."""
