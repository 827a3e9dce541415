"""The commands `index …`, private: `fill` makes an index and adds to it, `entries` shows and changes what it holds.

`manage` looks after it.
"""

from ..arguments import Commands
from . import entries, fill, manage


def add_parser(commands: Commands) -> None:
    """Declare the commands."""
    index = commands.add_parser(
        "index", help="make, fill and look after a search index", description="A search index.", allow_abbrev=False
    )
    index_commands = index.add_subparsers(metavar="COMMAND", required=True)
    fill.add_parsers(index_commands)
    entries.add_parsers(index_commands)
    manage.add_parsers(index_commands)
