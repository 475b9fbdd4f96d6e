"""What a solver process does in tests of its pool: it says who it is, waits, or dies, as it is told."""

import os
import time
from multiprocessing.connection import Connection


def obey(connection: Connection, time_limit_s: float) -> None:
    """Says that it is ready; answers every message with its own number, `sleep` after a minute and `die` never."""
    connection.send_bytes(b"ready")
    while True:
        try:
            told = connection.recv_bytes()
        except EOFError:
            return
        if told == b"die":
            os._exit(3)
        if told == b"sleep":
            time.sleep(60)
        connection.send_bytes(bytes([0]) + str(os.getpid()).encode())
