"""An HTTP server of files that misbehaves as it is told, for the tests of `slm pull`."""

import socket
import socketserver
import ssl
import threading
import time


class Request:
    def __init__(self, method, target, headers):
        self.method, self.target, self.headers = method, target, headers

    @property
    def range_start(self):
        """Of "bytes=N-", or None."""
        value = self.headers.get("range", "")
        return int(value[6:-1]) if value.startswith("bytes=") and value.endswith("-") else None


class Reply:
    """What a behaviour writes with; the connection is closed behind it."""

    def __init__(self, connection, server):
        self.connection, self.server = connection, server

    def send(self, data):
        try:
            self.connection.sendall(data)
        except OSError:
            pass  # the client has gone, as it should in some tests

    def head(self, status, **headers):
        lines = [f"HTTP/1.1 {status} X", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.send("\r\n".join(lines + ["", ""]).encode())

    def chunk(self, data):
        self.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def hold(self):
        """Keeps the connection open, silent, until the server ends or is told to go on."""
        self.server.released.wait(30)


def whole(data, etag='"one"', **more):
    """A file, served as it should be: ranges, If-Range, an entity tag."""

    def behave(request, reply):
        start = request.range_start
        if start is not None and request.headers.get("if-range", etag) == etag and start < len(data):
            reply.head(206, Content_Length=len(data) - start, ETag=etag,
                       Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}", **more)
            reply.send(data[start:])
        else:
            reply.head(200, Content_Length=len(data), ETag=etag, **more)
            reply.send(data)

    return behave


def cut(data, n, etag='"one"'):
    """Announces the file and ends the connection after n bytes of it."""

    def behave(request, reply):
        start = request.range_start or 0
        status = 206 if start else 200
        extra = {"Content_Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
        if etag:
            extra["ETag"] = etag
        reply.head(status, Content_Length=len(data) - start, **extra)
        reply.send(data[start:start + n])

    return behave


def hold(data, n, etag='"one"'):
    """The first n bytes, then silence until the server is released, then the rest."""

    def behave(request, reply):
        reply.head(200, Content_Length=len(data), ETag=etag)
        reply.send(data[:n])
        reply.hold()
        reply.send(data[n:])

    return behave


def slow(data, seconds):
    """The file in ten pieces."""

    def behave(request, reply):
        reply.head(200, Content_Length=len(data))
        step = len(data) // 10 + 1
        for at in range(0, len(data), step):
            reply.send(data[at:at + step])
            time.sleep(seconds / 10)

    return behave


def status(code, **headers):
    return lambda request, reply: reply.head(code, Content_Length=0, **headers)


def raw(data):
    """These bytes, whatever they are, and the end of the connection."""
    return lambda request, reply: reply.send(data)


def redirect(target, code=302):
    return status(code, Location=target)


class Server(socketserver.ThreadingTCPServer):
    """Answers each request to a path with the next of its behaviours, the last one for ever."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, certificate=None):
        self.routes, self.requests, self.released = {}, [], threading.Event()
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate)
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05},
                         daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # a client that refuses the certificate, for one

    def close(self):
        self.released.set()
        self.shutdown()
        self.server_close()

    def route(self, path, *behaviours):
        self.routes[path] = list(behaviours)
        scheme = "https" if self.context else "http"
        return f"{scheme}://127.0.0.1:{self.server_address[1]}{path}"


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.settimeout(30)
        connection = self.request
        if self.server.context:
            connection = self.server.context.wrap_socket(connection, server_side=True)
        reader = connection.makefile("rb")
        line = reader.readline().decode().split()
        if len(line) != 3:
            return
        headers = {}
        while (field := reader.readline().decode().strip()):
            name, _, value = field.partition(":")
            headers[name.lower()] = value.strip()
        request = Request(line[0], line[1], headers)
        self.server.requests.append(request)
        behaviours = self.server.routes.get(request.target) or [status(404)]
        behave = behaviours.pop(0) if len(behaviours) > 1 else behaviours[0]
        behave(request, Reply(connection, self.server))
        try:
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        connection.close()
