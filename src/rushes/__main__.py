"""``python -m rushes``, and the ``rushes`` command.

Nothing is imported before ``main`` runs: helper processes import this module again.
"""


def main() -> None:
    """Run the command line."""
    try:
        from rushes.cli import run

        run()
    except KeyboardInterrupt:  # before there was anybody to answer it
        raise SystemExit("Aborted!") from None


if __name__ == "__main__":
    main()
