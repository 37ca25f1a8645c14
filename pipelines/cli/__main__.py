"""The `twintrain` command, and `python -m pipelines.cli` for where it is not on the path.

It listens for Ctrl-C before it imports anything.
"""

from pipelines.cli.interruption import run_interruptibly


def main() -> None:
    """Entry point; ends the process."""
    run_interruptibly(_command)


def _command() -> None:
    from pipelines.cli.main import main as command

    command()


if __name__ == "__main__":
    main()
