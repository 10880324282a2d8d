"""``python -m consumers``: the command line."""

from consumers.cli import main

if __name__ == "__main__":
    main(prog_name="python -m consumers")
