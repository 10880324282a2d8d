"""What the how-to guides show, a file or two for each."""
