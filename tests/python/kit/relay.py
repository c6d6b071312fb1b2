"""A TCP relay that can delay or drop data, or close its connections."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Relay:
    """Forwards connections from a port of its own to another on this machine."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.flows = threading.Event()
        self.flows.set()
        self.sockets: list[socket.socket] = []
        # The seconds for which each piece of data is on its way, in both directions.
        self.delay = 0.0
        # The answers to requests with one of these texts wait for the event.
        self.held: dict[bytes, threading.Event] = {}
        # Released once for each piece of an answer that waits.
        self.waiting = threading.Semaphore(0)
        # The events of connections, in the order of their requests.
        self.asked: dict[int, threading.Event] = {}
        # The connections that their client has ended.
        self.gone: set[int] = set()
        self.lock = threading.Lock()
        # The number of bytes until every connection ends.
        self.left: int | None = None
        # The number of connections, and of those that forward nothing any more.
        self.made = self.stalled = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self) -> None:
        """Stops forwarding. The system still acknowledges sent data."""
        self.flows.clear()

    def release(self) -> None:
        """Forwards again, beginning with the data that waited."""
        self.flows.set()

    def cut(self) -> None:
        """Ends every connection."""
        sockets, self.sockets = self.sockets, []
        for one in sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def stall(self) -> None:
        """Swallows the data of present connections for ever. New ones work."""
        self.stalled = self.made

    def cut_after(self, count: int) -> None:
        """Ends every connection after `count` more bytes of all, in the middle of a message."""
        with self.lock:
            self.left = count

    def close(self) -> None:
        self.listener.close()
        self.cut()
        self.flows.set()
        for event in self.held.values():
            event.set()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self.flows.wait()
                try:
                    server = socket.create_connection(("127.0.0.1", self.target))
                except OSError:
                    client.close()
                    continue
                self.sockets += [client, server]
                self.made += 1
                for pair in ((client, server), (server, client)):
                    arguments = (*pair, self.made, pair[0] is client)
                    threading.Thread(target=self._forward, args=arguments, daemon=True).start()

    def _part(self, data: bytes) -> bytes:
        """Returns the bytes before the cut."""
        with self.lock:
            if self.left is None:
                return data
            part = data[: self.left]
            self.left -= len(part)
            return part

    def _forward(
        self, source: socket.socket, sink: socket.socket, number: int, is_client: bool
    ) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self.flows.wait()
                if number <= self.stalled:
                    continue
                threading.Event().wait(self.delay)
                if is_client:
                    found = [event for text, event in self.held.items() if text in data]
                    self.asked |= {number: event for event in found}
                elif number in self.asked:
                    self.waiting.release()
                    self.asked[number].wait()
                sink.sendall(self._part(data))
                if self.left == 0:
                    self.left = None
                    self.cut()
        if is_client:
            self.gone.add(number)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
