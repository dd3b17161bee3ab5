"""Options of the commands that look at tools and call them."""

from __future__ import annotations

import argparse

from opspawn_jupyter.client.parser import Parser, Surface, add_assignments


def add_tools_option(parser: argparse.ArgumentParser) -> None:
    """The option by which a run is given tools."""
    parser.add_argument(
        "--tool",
        dest="tools",
        action="append",
        default=[],
        metavar="SERVER.TOOL",
        help="let the run call this MCP tool, or those that fit a pattern such as 'time.*'; may "
        "be given several times",
    )


def tools(parser: Parser, surface: Surface) -> None:  # noqa: ARG001 (alike everywhere)
    """``tools``: what to list: everything, or what one name stands for."""
    parser.usage = "%(prog)s [SERVER | SERVER.TOOL] [options]"
    parser.add_argument("name", metavar="NAME", nargs="?", help="a server, or one tool of it")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--servers", action="store_true", help="the configured servers only")
    what.add_argument("--resources", action="store_true", help="what the servers let read")
    what.add_argument("--prompts", action="store_true", help="texts that the servers can write")
    what.add_argument("--read", metavar="URI", help="read a resource of the server NAME")
    what.add_argument(
        "--import",
        dest="import_from",
        metavar="FILE",
        help="take over the servers of another program's file, such as .mcp.json",
    )
    what.add_argument(
        "--approve",
        action="store_true",
        help="let the command of the server NAME run, or take the changed tool NAME as it is now",
    )
    what.add_argument(
        "--login", action="store_true", help="say where to log in to the server NAME (OAuth)"
    )
    what.add_argument("--logout", action="store_true", help="forget your login to the server NAME")


def tool(parser: Parser, surface: Surface) -> None:  # noqa: ARG001 (alike everywhere)
    """``tool``: which, and its arguments."""
    parser.usage = "%(prog)s SERVER.TOOL [-p NAME=VALUE ...] [options]"
    parser.add_argument("name", metavar="SERVER.TOOL")
    parser.add_argument(
        "--prompt", action="store_true", help="NAME is a prompt: show the text that it makes"
    )
    parser.add_argument(
        "--timeout", type=float, metavar="SECONDS", help="wait no longer than the server's limit"
    )
    add_assignments(parser, "-p", "--parameter", "parameters", "an argument of the tool")
