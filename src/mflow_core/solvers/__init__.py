"""Linear algebra and Newton's iteration of implicit steps."""
