"""Engines for the voice loop, made of the server of the wyoming package.

    wyoming_engines.py asr URI TEXT|TEXT       hears the first in more than 1.3 s of speech, or the other
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
    """Tells what was said when all of it has been heard, as most do."""

    texts = []

    async def handle_event(self, event):
        if Transcribe.is_type(event.type):
            assert Transcribe.from_event(event).language == "en", event
            self.n, self.loud = 0, []
        elif AudioStart.is_type(event.type):
            start = AudioStart.from_event(event)
            assert (start.rate, start.width, start.channels) == (16000, 2, 1), event
        elif AudioChunk.is_type(event.type):
            chunk = AudioChunk.from_event(event)
            assert chunk.samples * 2 == len(chunk.audio) > 0, event
            samples = memoryview(chunk.audio).cast("h")
            self.loud += [self.n + i for i, x in enumerate(samples) if abs(x) > 1000]
            self.n += len(samples)
        elif AudioStop.is_type(event.type):
            text = self.texts[self.loud[-1] - self.loud[0] < 1.3 * 16000]
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
