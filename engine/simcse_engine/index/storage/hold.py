"""Hold: one state of the database, kept while it is read in parts."""

import sqlite3


class Hold:
    """Keeps a transaction open between the parts in which it is read, for whoever reads slowly.

    SQLite's log cannot shrink meanwhile, and writers go on. A fork ends the transaction, as no connection survives one;
    then the next part begins another, of the state that the database has by then.

    Attributes:
        connection: in its transaction; None while a part is read, and where the next part has to begin one.
    """

    def __init__(self) -> None:
        self.connection: sqlite3.Connection | None = None

    def take(self) -> sqlite3.Connection | None:
        """Take the connection out."""
        connection, self.connection = self.connection, None
        return connection
