"""What factors and products say of the eigenvalues of J: which steps are regular, which modes grow, how large the largest is."""
