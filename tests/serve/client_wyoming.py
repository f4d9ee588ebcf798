"""The wyoming package against two servers, whose addresses are the arguments, one with tools."""

import asyncio
import sys

from wyoming.asr import Transcript
from wyoming.client import AsyncClient
from wyoming.error import Error
from wyoming.event import Event
from wyoming.handle import Handled, HandledChunk, HandledStart, HandledStop, NotHandled
from wyoming.info import Describe, Info
from wyoming.intent import Intent, IntentsStart, IntentsStop, NotRecognized, Recognize
from wyoming.ping import Ping, Pong

PLAIN, TOOLS = sys.argv[1:3]


def client(uri):
    return AsyncClient.from_uri(uri, connect_timeout=10, read_timeout=120)


async def describe(uri):
    async with client(uri) as c:
        await c.write_event(Describe().event())
        return Info.from_event(await c.read_event())


async def handle(uri, text, **context):
    """Streamed, as a voice satellite would take it."""
    async with client(uri) as c:
        await c.write_event(Transcript(text, context=context, language="en").event())
        start = await c.read_event()
        assert HandledStart.is_type(start.type), start
        streamed, event = "", await c.read_event()
        while HandledChunk.is_type(event.type):
            streamed += HandledChunk.from_event(event).text
            event = await c.read_event()
        handled = Handled.from_event(event)
        assert Handled.is_type(event.type) and handled.text == streamed and streamed, event
        assert handled.context == HandledStart.from_event(start).context
        event = await c.read_event()
        assert HandledStop.is_type(event.type), event
        return handled


async def converse(uri, text, conversation):
    """What Home Assistant makes of the replies to a text: intents, speech, or neither. It knows no
    streams, and closes once it has what it wants."""
    intents, several = [], False
    async with client(uri) as c:
        await c.write_event(Transcript(text, context={"conversation_id": conversation}).event())
        while True:
            event = await c.read_event()
            assert event is not None and not Error.is_type(event.type), event
            if IntentsStart.is_type(event.type):
                several = True
            elif Intent.is_type(event.type):
                intents.append(Intent.from_event(event))
                if not several:
                    return intents, None
            elif IntentsStop.is_type(event.type):
                return intents, None
            elif Handled.is_type(event.type):
                return [], Handled.from_event(event).text
            elif NotHandled.is_type(event.type) or NotRecognized.is_type(event.type):
                return [], None


async def recognize(uri, text):
    async with client(uri) as c:
        await c.write_event(Recognize(text, context={"conversation_id": text}).event())
        return await c.read_event()


async def test_info():
    info = await describe(PLAIN)
    program = info.handle[0]
    assert program.installed and program.supports_handled_streaming and not info.intent
    assert program.models[0].installed and program.models[0].name
    info = await describe(TOOLS)
    assert info.handle and info.intent[0].models[0].languages == info.handle[0].models[0].languages
    async with client(PLAIN) as c:
        await c.write_event(Ping("x").event())
        assert Pong.from_event(await c.read_event()).text == "x"


async def test_handle():
    handled = await handle(PLAIN, "My name is Anna.", device_id="d")
    assert handled.context["device_id"] == "d"
    again = await handle(PLAIN, "What is my name?", **handled.context)
    assert "Anna" in again.text and again.context == handled.context, again
    both = await asyncio.gather(*(handle(PLAIN, "What can you do?") for _ in range(2)))
    assert both[0].text == both[1].text
    assert both[0].context != both[1].context


async def test_home_assistant():
    intents, text = await converse(TOOLS, "Turn on the kitchen light.", "1")
    assert [i.name for i in intents] == ["light"] and text is None, intents
    assert {e.name: e.value for e in intents[0].entities} == {"place": "kitchen", "state": "on"}
    intents, _ = await converse(TOOLS, "And the bedroom too.", "1")
    assert {e.name: e.value for e in intents[0].entities} == {"place": "bedroom", "state": "on"}
    assert (await converse(TOOLS, "What can you do?", "2"))[1]
    assert await converse(TOOLS, "", "3") == ([], None)


async def test_recognize():
    event = await recognize(TOOLS, "Turn off the fan.")
    intent = Intent.from_event(event)
    assert Intent.is_type(event.type) and intent.name == "device", event
    assert intent.to_rhasspy()["slots"] == {"name": "fan", "state": "off"}, intent
    event = await recognize(TOOLS, "What can you do?")
    assert NotRecognized.is_type(event.type) and NotRecognized.from_event(event).text, event


async def test_error():
    async with client(PLAIN) as c:
        await c.write_event(Event("transcript", {"text": 7}))
        error = Error.from_event(await c.read_event())
        assert error.code == "bad-field" and "text" in error.text, error


async def main():
    await test_info()
    await test_handle()
    await test_home_assistant()
    await test_recognize()
    await test_error()


asyncio.run(main())
