"""Charts of a machine, measured once however many look at them."""
