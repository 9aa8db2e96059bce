"""Completion scripts, generated: what each command takes in, a script for bash, zsh or fish out. Called by `completion`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from syncd.cli import main

_LISTS: Final = {
    "WORKFLOW": "list",
    "CRON": "cron list",
    "TEMPLATE": "template list",
    "SOURCE": "status",
}
"""What a word stands for → the command whose `-o name` lists them."""


_WHOM: Final = ("--context", "--kubeconfig", "--namespace", "--server", "--state", "-n")
"""Options on the line that also say whose names are listed; written as two words."""


@dataclass(frozen=True, slots=True)
class Words:
    """A command. options: (all spellings, help, values to choose from); names: the command that lists its names, "" = files."""

    name: str
    about: str
    options: tuple[tuple[tuple[str, ...], str, tuple[str, ...]], ...]
    names: str


def words() -> list[Words]:
    """All commands, in the order of the table."""
    found = []
    for name, (_, about) in main.COMMANDS.items():
        options = []
        names = ""
        for action in main.build(name)._actions:
            choices = tuple(str(choice) for choice in action.choices or ())
            if action.option_strings:
                options.append((tuple(action.option_strings), (action.help or "").replace("%%", "%"), choices))
            elif isinstance(action.metavar, str):
                names = _LISTS.get(action.metavar, names)
        if name == "up":
            names = ""
        if name.startswith("cluster-template"):
            names = "cluster-template list"
        found.append(Words(name, about, tuple(options), names))
    return found


def _groups(commands: list[Words]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for command in commands:
        first, _, second = command.name.partition(" ")
        groups.setdefault(first, [])
        if second:
            groups[first].append(second)
    return groups


def _bash(commands: list[Words]) -> str:
    groups = _groups(commands)
    cases = []
    for command in commands:
        options = " ".join(spelling for spellings, _, _ in command.options for spelling in spellings)
        cases.append(f'    "{command.name}") options="{options}"; names="{command.names}" ;;')
    subs = [f'      {first}) words="{" ".join(second)}" ;;' for first, second in groups.items() if second]
    return f"""# bash completion of syncd; load it with: source <(syncd completion bash)
_syncd() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" first="${{COMP_WORDS[1]}}" words="" options="" names="" command place
  local -a whom=()
  COMPREPLY=()
  for ((place = 2; place < COMP_CWORD - 1; place++)); do
    case "${{COMP_WORDS[place]}}" in {"|".join(_WHOM)}) whom+=("${{COMP_WORDS[place]}}" "${{COMP_WORDS[place + 1]}}") ;; esac
  done
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "{" ".join(groups)}" -- "$current"))
    return
  fi
  if [ "$COMP_CWORD" -eq 2 ]; then
    case "$first" in
{chr(10).join(subs)}
    esac
    if [ -n "$words" ]; then
      COMPREPLY=($(compgen -W "$words" -- "$current"))
      return
    fi
  fi
  command="$first"
  case "$first" in {"|".join(first for first, second in groups.items() if second)}) command="$first ${{COMP_WORDS[2]}}" ;; esac
  case "$command" in
{chr(10).join(cases)}
  esac
  case "$current" in
    -*) COMPREPLY=($(compgen -W "$options" -- "$current")) ;;
    *)
      if [ -n "$names" ]; then
        COMPREPLY=($(compgen -W "$(syncd $names "${{whom[@]}}" -o name 2>/dev/null)" -- "$current"))
      else
        COMPREPLY=($(compgen -f -- "$current"))
      fi
      ;;
  esac
}}
complete -o filenames -F _syncd syncd
"""


def _zsh(commands: list[Words]) -> str:
    groups = _groups(commands)
    tops = {command.name: command.about for command in commands if " " not in command.name}
    tops |= {first: f"{first} commands" for first, second in groups.items() if second}
    cases = []
    for command in commands:
        options = " ".join(_quoted(_zsh_option(s[-1], told, values)) for s, told, values in command.options)
        rest = f"'*:name:_syncd_names {command.names}'" if command.names else "'*:file:_files'"
        cases.append(f'    "{command.name}") _arguments {options} {rest} ;;')
    subs = []
    for first, second in groups.items():
        if second:
            told = {command.name: command.about for command in commands}
            rows = " ".join(_quoted(f"{name}:{told[f'{first} {name}']}") for name in second)
            subs.append(f"    {first}) group=({rows}) ;;")
    return f"""#compdef syncd
# zsh completion of syncd; put it as _syncd into a directory of $fpath
_syncd_names() {{
  local -a found whom
  local place
  for ((place = 1; place < ${{#_syncd_line}}; place++)); do
    case "$_syncd_line[place]" in {"|".join(_WHOM)}) whom+=("$_syncd_line[place]" "$_syncd_line[place+1]") ;; esac
  done
  found=(${{(f)"$(syncd "$@" $whom -o name 2>/dev/null)"}})
  compadd -a found
}}
_syncd() {{
  local -a top group _syncd_line
  local command="$words[2]"
  _syncd_line=("${{(@)words[1,CURRENT-1]}}")
  if (( CURRENT == 2 )); then
    top=({" ".join(_quoted(f"{name}:{about}") for name, about in tops.items())})
    _describe command top
    return
  fi
  case "$command" in
{chr(10).join(subs)}
  esac
  if (( $#group )); then
    if (( CURRENT == 3 )); then
      _describe command group
      return
    fi
    command="$command $words[3]"
    shift words; (( CURRENT-- ))
  fi
  shift words; (( CURRENT-- ))
  case "$command" in
{chr(10).join(cases)}
  esac
}}
_syncd "$@"
"""


def _zsh_option(spelling: str, told: str, values: tuple[str, ...]) -> str:
    plain = told.replace("[", "(").replace("]", ")").replace(":", " ")
    return f"{spelling}[{plain}]" + (f":value:({' '.join(values)})" if values else "")


def _fish(commands: list[Words]) -> str:
    groups = _groups(commands)
    whom = " ".join(_WHOM)
    lines = [
        "# fish completion of syncd; put it into ~/.config/fish/completions/syncd.fish",
        "function __syncd_names",
        "    set -l words (commandline -opc)",
        "    set -l whom",
        "    for place in (seq 2 (math (count $words) - 1))",
        f"        contains -- $words[$place] {whom}; and set -a whom $words[$place] $words[(math $place + 1)]",
        "    end",
        "    syncd $argv $whom -o name 2>/dev/null",
        "end",
        "function __syncd_is",
        "    set -l words (commandline -opc)",
        "    set -e words[1]",
        '    test (string join " " -- $words[1..(count $argv)]) = (string join " " -- $argv)',
        "end",
    ]
    for first, second in groups.items():
        about = next((c.about for c in commands if c.name == first), f"{first} commands")
        lines.append(f"complete -c syncd -f -n __fish_use_subcommand -a {first} -d {_fish_quoted(about)}")
        for name in second:
            about = next(c.about for c in commands if c.name == f"{first} {name}")
            test = f"'__syncd_is {first}; and test (count (commandline -opc)) -eq 2'"
            lines.append(f"complete -c syncd -f -n {test} -a {name} -d {_fish_quoted(about)}")
    for command in commands:
        test = f"'__syncd_is {command.name}'"
        for spellings, told, values in command.options:
            line = f"complete -c syncd -n {test}"
            for spelling in spellings:
                line += f" -l {spelling[2:]}" if spelling.startswith("--") else f" -s {spelling[1:]}"
            if values:
                line += f" -xa {_fish_quoted(' '.join(values))}"
            lines.append(f"{line} -d {_fish_quoted(told)}")
        if command.names:
            lines.append(f"complete -c syncd -f -n {test} -a '(__syncd_names {command.names})'")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


SHELLS: Final[dict[str, Callable[[list[Words]], str]]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
