"""Properties of methods: amplification, limits of the step, modes, facts, regions, oscillation."""
