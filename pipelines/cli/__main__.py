"""`python -m pipelines.cli`, for where the `twintrain` command is not on the path."""

from pipelines.cli.main import main

if __name__ == "__main__":
    main()
