"""A board where each visitor sees the pointers of all others."""
