# SPDX-License-Identifier: Apache-2.0
"""The command line in words: commands, flags, help; only the asked command's parser is built."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from .._version import __version__
from ..errors import UsageError
from ..levels import LEVELS
from .streams import STREAM

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

_STREAMS = "- is standard input or output."
_UNCHECKED_PIPE = (
    "Into a pipe, bytes go out before the last check of the stream: use the exit code. "
    "A file gets its name only when all is checked."
)
_FOLDERS = (
    "-r DIR -o OUT walks DIR and makes the same tree in OUT: {what}, all other files are copied, "
    "symbolic links too, as links. With several inputs each gets its own name inside OUT."
)
_EXIT_CODES = (
    "exit codes: 0 done, 1 failed (one file, or all), 2 usage, 3 some of several files failed, "
    "130 interrupted"
)


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are UsageError, and so one line."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage and leaving the process."""
        name = self.prog.partition(" ")[2]
        raise UsageError(f"{name + ': ' if name else ''}{message}; see {self.prog} --help")

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        """Print the help; argparse itself would hide that standard output is full or closed."""
        print(self.format_help(), end="", file=file)


@dataclass(frozen=True)
class Command:
    """module: where in this package its function lives, which has the command's name."""

    module: str
    summary: str
    add_arguments: Callable[[Parser], None]


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line as a namespace with `command`; raises UsageError.

    SystemExit means that help or the version was asked for and printed.
    """
    if not argv or argv[0] not in COMMANDS:
        _top_parser().parse_args(argv[:1])
    name = argv[0]
    parser = Parser(
        prog=f"znl {name}",
        description=COMMANDS[name].summary,
        epilog=_EXIT_CODES,
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="results as JSON lines, one a file")
    COMMANDS[name].add_arguments(parser)
    # Intermixed: `znl compress a -l max b` means what it says.
    args = parser.parse_intermixed_args(_without_separator(argv[1:]))
    args.command = name
    return args


def _without_separator(words: list[str]) -> list[str]:
    """Drop `--`, and put ./ before names behind it: argparse loses `--` among mixed words."""
    if "--" not in words:
        return words
    at = words.index("--")
    names = [
        os.path.join(os.curdir, name) if name.startswith("-") and name != STREAM else name
        for name in words[at + 1 :]
    ]
    return words[:at] + names


def _top_parser() -> Parser:
    width = max(map(len, COMMANDS))
    table = "\n".join(f"  {name:{width}}  {each.summary}" for name, each in COMMANDS.items())
    parser = Parser(
        prog="znl",
        usage="znl COMMAND [options] [FILE ...]",
        description="Lossless codec for neural-network weights.",
        epilog=f"commands:\n{table}\n\nznl COMMAND --help tells more.\n{_EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"znl {__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help=argparse.SUPPRESS)
    return parser


def _add_compress(parser: Parser) -> None:
    _add_coding(parser, "the name of the input and .znl")
    parser.description = (
        f"{parser.description}. {_STREAMS} {_FOLDERS.format(what='.safetensors files compressed')}"
    )
    parser.add_argument(
        "-l", "--level", choices=LEVELS, default="default", help="fast, default or max"
    )
    parser.add_argument("--sha256", action="store_true", help="record the SHA-256 of the source")
    parser.add_argument(
        "--rm",
        action="store_true",
        help="delete each input once its output is decoded again and found equal to it; "
        "what -r only copies stays",
    )


def _add_decompress(parser: Parser) -> None:
    _add_coding(parser, "the name of the input without .znl")
    what = ".znl files decompressed"
    parser.description = (
        f"{parser.description}. {_STREAMS} {_FOLDERS.format(what=what)} {_UNCHECKED_PIPE}"
    )
    parser.add_argument(
        "--rm",
        action="store_true",
        help="delete each input once its output is read again and found equal to it; "
        "what -r only copies stays",
    )


def _add_verify(parser: Parser) -> None:
    _add_files(parser, f"compressed files; {_STREAMS}")
    parser.add_argument(
        "--against", metavar="FILE", help="compare with this file too, byte for byte"
    )
    _add_threads(parser)
    _add_loudness(parser)


def _add_inspect(parser: Parser) -> None:
    _add_files(parser, "compressed files")
    parser.add_argument(
        "--methods",
        action="store_true",
        help="tell how each tensor and dtype is stored: raw, constant, zstd, static, arranged, "
        "composed, or as a repeat of earlier bytes",
    )


def _add_cat(parser: Parser) -> None:
    _add_files(parser, f"compressed files; {_STREAMS}")
    parser.description = f"{parser.description}. {_UNCHECKED_PIPE}"


def _add_nothing(parser: Parser) -> None:
    """`version` and `doctor` take no arguments of their own."""


def _add_coding(parser: Parser, default_output: str) -> None:
    """What `compress` and `decompress` share."""
    _add_files(parser, f"files, or folders with -r; {_STREAMS}")
    parser.add_argument(
        "-o",
        "--output",
        metavar="PATH",
        help=f"output file, or folder: one that exists, a name that ends in /, or any with -r or "
        f"several inputs (default: {default_output}; standard output for standard input)",
    )
    parser.add_argument("-r", "--recursive", action="store_true", help="walk folders; needs -o")
    parser.add_argument("-f", "--force", action="store_true", help="overwrite existing outputs")
    _add_threads(parser)
    _add_loudness(parser)


def _add_files(parser: Parser, text: str) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help=text)


def _add_threads(parser: Parser) -> None:
    parser.add_argument(
        "-T", "--threads", type=_threads, metavar="N", help="threads (default, and 0: usable cores)"
    )


def _threads(text: str) -> int | None:
    try:
        return int(text) or None
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, found {text!r}") from None


def _add_loudness(parser: Parser) -> None:
    group = parser.add_mutually_exclusive_group()
    group.add_argument("-q", "--quiet", action="store_true", help="tell errors only")
    group.add_argument(
        "-v", "--verbose", action="store_true", help="tell totals by dtype and method too"
    )


COMMANDS = {
    "compress": Command("coding", "Compress files", _add_compress),
    "decompress": Command("coding", "Restore files to the last bit", _add_decompress),
    "verify": Command(
        "checking", "Decode files fully and check them, writing nothing", _add_verify
    ),
    "inspect": Command("listing", "List what files hold, without decoding it", _add_inspect),
    "cat": Command("cat", "Write the restored bytes of files to standard output", _add_cat),
    "version": Command("about", "Show the version", _add_nothing),
    "doctor": Command("about", "Show what this installation consists of", _add_nothing),
}
