"""Options of ``audit``, ``bundle`` and ``verify``."""

from __future__ import annotations

import argparse

from opspawn_jupyter.client.parser import Parser, Surface
from opspawn_jupyter.client.policy_options import moment, seconds
from opspawn_jupyter.model.audit import HEADLINES
from opspawn_jupyter.model.signature import Meaning


def audit(parser: Parser, surface: Surface) -> None:
    """``audit``: what is audited, how long that may take, and what is good enough."""
    in_shell = surface is Surface.SHELL
    parser.usage = "%(prog)s TARGET [TARGET ...] [--wait | --detach] [options]"
    help_text = "a notebook, a folder of notebooks, or the id of a task or workflow that has run"
    parser.add_argument("targets", metavar="TARGET", nargs="+", help=help_text)
    waiting = parser.add_mutually_exclusive_group()
    waiting.add_argument("--wait", action="store_true", help="wait for the verdict")
    waiting.add_argument("--detach", dest="wait", action="store_false", help="return at once")
    parser.set_defaults(wait=in_shell, serve=False, junit=None, fail_under=None)
    parser.add_argument("--kernel", help="kernel to run in, instead of the notebook's own")
    parser.add_argument("--cwd", metavar="DIR", help="where the kernel starts")
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="PATH",
        help="what the notebook needs of its project, instead of all of it",
    )
    parser.add_argument("--reason", default="", help="why the audit is made, for the record")
    parser.add_argument(
        "--timeout", type=seconds, metavar="SECONDS", help="limit for all runs of one audit"
    )
    parser.add_argument(
        "--cell-timeout", type=seconds, metavar="SECONDS", help="limit for each cell"
    )
    if in_shell:
        _add_shell_options(parser)


def _add_shell_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--fail-under",
        choices=[one.value for one in HEADLINES],
        metavar="HEADLINE",
        help="exit with 1 where an audit comes to less: one of %(choices)s",
    )
    parser.add_argument("--junit", metavar="FILE", help="write the verdicts as JUnit XML")
    parser.add_argument(
        "--serve", action="store_true", help="start a Jupyter server for these audits only"
    )


def bundle(parser: Parser, surface: Surface) -> None:  # noqa: ARG001 (alike everywhere)
    """``bundle``: whose evidence, and where to."""
    parser.add_argument("task", metavar="TASK", help="id of the audit, or the end of it")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write it (.zip)")


def sign(parser: Parser, surface: Surface) -> None:  # noqa: ARG001 (alike everywhere)
    """``sign``: which audit, what the signature means, and why."""
    parser.usage = "%(prog)s TASK --as MEANING --reason TEXT [--name NAME] [options]"
    parser.add_argument("task", metavar="TASK", help="id of the audit, or the end of it")
    parser.add_argument(
        "--as",
        dest="meaning",
        required=True,
        choices=[one.value for one in Meaning],
        metavar="MEANING",
        help="one of %(choices)s; whoever is author cannot give the others",
    )
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why you sign")
    parser.add_argument("--name", default="", help="your name as it is to be printed")


def stale(parser: Parser, surface: Surface) -> None:  # noqa: ARG001 (only for shells)
    """``stale``: which notebooks, and what they are held against."""
    parser.usage = "%(prog)s NOTEBOOK [NOTEBOOK ...] [--against REVISION] [options]"
    parser.add_argument("notebooks", metavar="NOTEBOOK", nargs="+")
    parser.add_argument(
        "--against", default="HEAD", metavar="REVISION", help="of git; HEAD where it is left out"
    )


def export(parser: Parser, surface: Surface) -> None:  # noqa: ARG001 (alike everywhere)
    """``export``: which period, and where to."""
    parser.usage = "%(prog)s --since TIME [--until TIME] [-o FILE] [options]"
    parser.add_argument("--since", type=moment, required=True, metavar="TIME", help="ISO 8601")
    parser.add_argument("--until", type=moment, metavar="TIME", help="now where it is left out")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write it (.zip)")


def verify(parser: Parser, surface: Surface) -> None:  # noqa: ARG001 (only for shells)
    """``verify``: what is verified."""
    parser.usage = "%(prog)s [BUNDLE] [--head FILE] [--key FILE] [options]"
    help_text = "a bundle (.zip or its directory); the history of tasks where it is left out"
    parser.add_argument("bundle", metavar="BUNDLE", nargs="?", help=help_text)
    parser.add_argument(
        "--key", metavar="FILE", help="the public key that must have signed the bundle"
    )
    parser.add_argument(
        "--head",
        metavar="FILE",
        help="a file of tree heads that were noted before: the history must still hold them all",
    )
    parser.add_argument(
        "--note", metavar="FILE", help="note the present tree head in this file, for later"
    )
    parser.add_argument("--root", metavar="DIR", help="the stopped server's directory")
