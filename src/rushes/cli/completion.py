"""``rushes completion``."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from rushes.cli.examples import examples

_SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
# click takes this name from that of the program.
_VARIABLE = "_RUSHES_COMPLETE"


@click.command(
    epilog=examples(
        "rushes completion bash > ~/.local/share/bash-completion/completions/rushes",
        'rushes completion zsh > "${fpath[1]}/_rushes"',
        "rushes completion fish > ~/.config/fish/completions/rushes.fish",
    )
)
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes `rushes` in a shell.

    To install it, write it where your shell looks for such scripts, as below, and start a new shell. The folder must
    be there; bash needs the package bash-completion, and zsh has to call `compinit`. `rushes` itself must be found
    by its name.
    """
    script = _SHELLS[shell](context.find_root().command, {}, "rushes", _VARIABLE)
    click.echo(script.source(), nl=False)
