"""What a method allows: amplification, limits of the step, modes, facts, regions, oscillation."""
