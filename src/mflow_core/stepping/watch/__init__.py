"""What is looked at in passing while steps are taken, as whether fixed ones are past the method's stability limit."""
