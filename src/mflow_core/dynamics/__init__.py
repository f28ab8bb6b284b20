"""M x'' = F: structures, forces, factorisations, loads, supports."""
