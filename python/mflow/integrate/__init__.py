"""y' = F(t, y): drivers, step control, events, endings, dense output, steppers, batches."""
