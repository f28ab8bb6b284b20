"""What is looked at in passing while fixed steps are taken: whether they are past the method's stability limit."""
