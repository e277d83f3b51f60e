"""systemd: the units that run workers, and what a worker tells the service manager."""
