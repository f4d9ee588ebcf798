"""Engines for the tests of the voice loop, good ones and bad ones.

    fake_engine.py asr|asr_whole|tts|piper BEHAVIOUR [MARK]   on standard input and output
    fake_engine.py serve asr|asr_whole|tts BEHAVIOUR [MARK]   the same over TCP; prints the port
    fake_engine.py whisper BEHAVIOUR [MARK]                   an HTTP server; prints the port

BEHAVIOUR: ok, die (in place of an answer), hang, wrong (bytes that are no answer), half (an answer that
ends in its middle), endless (events, but never the answer), error, long (pieces longer than any
transcript, then the answer). Where the file MARK is named, the engine is bad until it has made that file,
and good afterwards.
"""

import json
import os
import socket
import sys
import time


class Engine:
    """One conversation over two binary files."""

    folder = None  # of the WAV files

    def __init__(self, source, sink, behaviour, mark):
        self.source, self.sink, self.behaviour, self.mark = source, sink, behaviour, mark

    def how(self):
        """The behaviour for the next answer."""
        if self.mark and os.path.exists(self.mark):
            return "ok"
        if self.mark:
            open(self.mark, "w", encoding="utf-8").close()
        return self.behaviour

    def send(self, kind, data=None, payload=b"", apart=False):
        """An event; its data in the line or, as most servers have it, apart."""
        header = {"type": kind, "version": "1.5.2"}
        body = json.dumps(data).encode() if data and apart else b""
        if body:
            header["data_length"] = len(body)
        elif data:
            header["data"] = data
        if payload:
            header["payload_length"] = len(payload)
        self.sink.write(json.dumps(header).encode() + b"\n" + body + payload)
        self.sink.flush()

    def events(self):
        """Events as they come."""
        for line in self.source:
            header = json.loads(line)
            data = header.get("data") or {}
            if header.get("data_length"):
                data |= json.loads(self.source.read(header["data_length"]))
            yield header["type"], data, self.source.read(header.get("payload_length") or 0)

    def answer_badly(self, how):
        """Anything but an answer; True where it was asked for."""
        if how == "die":
            os._exit(1)
        if how == "hang":
            time.sleep(600)
        if how == "wrong":
            self.sink.write(b"<html>no JSON</html>\n")
        if how == "half":
            self.sink.write(b'{"type": "transcript", "data_length": 100}\n{"text"')
            self.sink.flush()
            os._exit(0)
        if how == "error":
            self.send("error", {"text": "out of coffee"})
        while how == "endless":
            self.send("ping", {"text": "wait"})
            time.sleep(0.01)
        for _ in range(4 if how == "long" else 0):
            self.send("transcript-chunk", {"text": "word " * 2000})
        self.sink.flush()
        return how not in ("ok", "long")

    def asr_whole(self):
        """The same, and tells nothing before all was said."""
        self.asr(streams=False)

    def asr(self, streams=True):
        """Hears how many samples there were and how loud the last was."""
        n, last = 0, 0
        for kind, data, payload in self.events():
            if kind == "audio-start":
                n = 0
                assert data == {"rate": 16000, "width": 2, "channels": 1}, data
            elif kind == "audio-chunk":
                if n == 0 and streams:
                    self.send("transcript-chunk", {"text": "so far"})
                n += len(payload) // 2
                last = int.from_bytes(payload[-2:], "little", signed=True)
            elif kind == "audio-stop" and not self.answer_badly(self.how()):
                self.send("transcript", {"text": f" heard {n} samples,\nthe last {last} "}, apart=True)

    def tts(self):
        """A ramp, 100 samples for each byte of the text."""
        for kind, data, _ in self.events():
            if kind != "synthesize" or self.answer_badly(self.how()):
                continue
            form = {"rate": 16000, "width": 2, "channels": 1}
            self.send("audio-start", form)
            for _ in data["text"].encode():
                ramp = b"".join(i.to_bytes(2, "little") for i in range(100))
                self.send("audio-chunk", form, ramp, apart=True)
            self.send("audio-stop")

    def piper(self):
        """As Piper with -d: a line of text in, a WAV file, then its name in the log. As the one in Python
        has it, the name is pathlib's and of blanks there is no file; as the one in C++ has it, the file's
        last bytes come after its name."""
        import pathlib
        import wave
        print(f"[info] Output directory: {self.folder}", file=sys.stderr, flush=True)
        for count, line in enumerate(self.source):
            text = line.removesuffix(b"\n")
            if not text.decode().strip():
                continue
            how, path = self.how(), str(pathlib.Path(self.folder) / f"{count}.wav")
            if how == "error":
                sys.exit("ValueError: out of coffee")
            if how == "wrong":
                with open(path, "wb") as file:
                    file.write(bytes(100))
                print(f"INFO:__main__:Wrote {path}", file=sys.stderr, flush=True)
            if self.answer_badly(how):
                continue
            with wave.open(path, "wb") as file:
                file.setparams((1, 2, 16000, 0, "NONE", "not compressed"))
                file.writeframes(b"\x01\x02" * (100 * len(text)))
            with open(path, "rb") as file:
                whole = file.read()
            os.truncate(path, 50)
            print(f"INFO:__main__:Wrote {path}", file=sys.stderr, flush=True)
            time.sleep(0.02)
            with open(path, "ab") as file:
                file.write(whole[50:])


def serve(kind, behaviour, mark):
    """A conversation for each connection, one after another."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            connection, _ = server.accept()
            if os.fork() == 0:
                with connection.makefile("rwb") as file:
                    try:
                        getattr(Engine(file, file, behaviour, mark), kind)()
                    except ConnectionError:
                        pass
                os._exit(0)
            connection.close()


def whisper(behaviour, mark):
    """What whisper.cpp's server answers: a form with a WAV file comes, JSON with a text goes."""
    import http.server
    import io
    import wave

    class Handler(http.server.BaseHTTPRequestHandler):
        """POST /inference."""

        def do_POST(self):
            """Hears how many samples there were."""
            how = Engine(None, None, behaviour, mark).how()
            form = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/inference" and b'name="response_format"\r\n\r\njson' in form
            assert b'name="language"\r\n\r\nen\r\n' in form
            begin = form.index(b"RIFF")
            size = int.from_bytes(form[begin + 4:begin + 8], "little") + 8
            with wave.open(io.BytesIO(form[begin:begin + size])) as file:
                assert file.getframerate() == 16000 and file.getsampwidth() == 2
                steps = max(512, min(1500, 50 * file.getnframes() // 16000 + 128))
                assert b'name="audio_ctx"\r\n\r\n%d\r\n' % steps in form
                text = f" [BLANK_AUDIO] heard {file.getnframes()}\n samples (wind) "
            if how == "hang":
                time.sleep(600)
            if how == "die":
                os._exit(1)
            body = json.dumps({"text": text}).encode()
            if how == "wrong":
                body = b"<html>"
            if how == "half":
                body = body[:10]
            if how == "endless":
                body = b" " * (1 << 20)
            self.send_response(500 if how == "error" else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format, *args):
            """Nothing."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


def main():
    """Command line."""
    kind, *rest = sys.argv[1:]
    if "-d" in rest:
        rest, (_, Engine.folder) = rest[:-2], rest[-2:]
    served = kind == "serve"
    if served:
        kind, *rest = rest
    behaviour, mark = rest[0], rest[1] if len(rest) > 1 else None
    if served:
        serve(kind, behaviour, mark)
    elif kind == "whisper":
        whisper(behaviour, mark)
    else:
        getattr(Engine(sys.stdin.buffer, sys.stdout.buffer, behaviour, mark), kind)()


if __name__ == "__main__":
    main()
