"""Private throw-away database servers for tests and campaigns: no service of the machine is touched."""

from support.servers.mariadb import MariaServer
from support.servers.pgbouncer import PgBouncer
from support.servers.postgres import PostgresServer
from support.servers.server import PASSWORD, Server, ServerMissing

__all__ = ["PASSWORD", "MariaServer", "PgBouncer", "PostgresServer", "Server", "ServerMissing"]
