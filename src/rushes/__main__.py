"""``python -m rushes``, and the ``rushes`` command.

Nothing is imported before ``main`` runs: helper processes import this module again.
"""


def main() -> None:
    """Run the command line."""
    from rushes.cli import run

    run()


if __name__ == "__main__":
    main()
