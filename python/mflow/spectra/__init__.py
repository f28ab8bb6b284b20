"""What a matrix does: eigenvalues, exponentials, numerical range, from its entries or its products with vectors."""
