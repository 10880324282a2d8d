"""What the tutorial builds, one file per step."""
