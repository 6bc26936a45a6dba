"""``rushes completion``."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from rushes.cli.examples import examples


class _Bash(BashComplete):
    """click's own, for words that hold a colon: to bash ``9:16`` is three words, of which the last is completed."""

    source_template = r"""
%(complete_func)s() {
    local IFS=$'\n'
    local completion gap line=${COMP_LINE-} prefix= response type value word
    local -a words=()

    for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
        gap=${line%%%%"$word"*}
        line=${line#"$gap$word"}
        if [[ -z $gap && -n $word && ${#words[@]} -gt 0 && ($word == :* || ${words[-1]} == *:) ]]; then
            words[-1]+=$word
        else
            words+=("$word")
        fi
    done
    word=${words[-1]}
    [[ $word == "${COMP_WORDS[COMP_CWORD]}" ]] || prefix=${word%%"${word##*:}"}

    response=$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((${#words[@]} - 1)) %(complete_var)s=bash_complete "$1")

    for completion in $response; do
        IFS=',' read -r type value <<< "$completion"
        case $type in
            dir) COMPREPLY=(); compopt -o dirnames ;;
            file) COMPREPLY=(); compopt -o default ;;
            plain) COMPREPLY+=("${value#"$prefix"}") ;;
        esac
    done
}

%(complete_func)s_setup() {
    complete -o nosort -F %(complete_func)s %(prog_name)s
}

%(complete_func)s_setup;
"""


_SHELLS: dict[str, type[ShellComplete]] = {"bash": _Bash, "zsh": ZshComplete, "fish": FishComplete}
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
