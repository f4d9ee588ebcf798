"""Engines for the voice loop, made of the server of the wyoming package.

    wyoming_engines.py asr URI TEXT|TEXT...    hears these texts, one after the other
    wyoming_engines.py tts URI                 says a tone, 0.1 s for each word

Over TCP the port is printed.
"""

import asyncio
import math
import sys

from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.server import AsyncEventHandler, AsyncServer
from wyoming.tts import Synthesize

RATE, CHUNK = 22050, 1024


class Asr(AsyncEventHandler):
    """Streams the transcript once it has heard speech."""

    texts = []

    async def handle_event(self, event):
        if Transcribe.is_type(event.type):
            assert Transcribe.from_event(event).language == "en", event
            self.loudest = 0
        elif AudioStart.is_type(event.type):
            start = AudioStart.from_event(event)
            assert (start.rate, start.width, start.channels) == (16000, 2, 1), event
        elif AudioChunk.is_type(event.type):
            chunk = AudioChunk.from_event(event)
            assert chunk.samples * 2 == len(chunk.audio) > 0, event
            samples = memoryview(chunk.audio).cast("h")
            self.loudest = max(self.loudest, *map(abs, samples))
        elif AudioStop.is_type(event.type):
            assert self.loudest > 1000, self.loudest
            text = self.texts.pop(0)
            await self.write_event(TranscriptStart(language="en").event())
            for word in text.split():
                await self.write_event(TranscriptChunk(text=word + " ").event())
            await self.write_event(Transcript(text=text, language="en").event())
            await self.write_event(TranscriptStop().event())
        return True


class Tts(AsyncEventHandler):
    """Says a tone of 440 Hz with the voice "tone"."""

    async def handle_event(self, event):
        if not Synthesize.is_type(event.type):
            return True
        said = Synthesize.from_event(event)
        assert said.text.strip() and said.voice.name == "tone", event
        n = RATE // 10 * len(said.text.split())
        tone = b"".join(int(8000 * math.sin(i * 440 * 2 * math.pi / RATE)).to_bytes(
            2, "little", signed=True) for i in range(n))
        await self.write_event(AudioStart(RATE, 2, 1).event())
        for at in range(0, len(tone), 2 * CHUNK):
            await self.write_event(AudioChunk(RATE, 2, 1, tone[at:at + 2 * CHUNK]).event())
        await self.write_event(AudioStop().event())
        return True


async def main():
    kind, uri, *rest = sys.argv[1:]
    Asr.texts = rest[0].split("|") if rest else []
    handler = {"asr": Asr, "tts": Tts}[kind]
    server = AsyncServer.from_uri(uri)
    if uri.startswith("tcp://"):
        await server.start(handler)
        print(server._server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Event().wait()
    await server.run(handler)


asyncio.run(main())
