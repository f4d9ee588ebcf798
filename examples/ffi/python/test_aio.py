"""Tests of slm.aio: python3 test_aio.py, with SLM_LIBRARY naming the shared library."""
import asyncio
import gc
import json
import pathlib
import sys
import threading
import unittest
import warnings

import slm
from slm import aio

HERE = pathlib.Path(__file__).resolve().parent
HEARTH = HERE.parents[1] / "models" / "hearth.gguf"
TOOLS = HERE.parents[1] / "household" / "tools.json"
QUESTIONS = ("Set a timer for ten minutes.", "What can you do?", "Thank you", "Turn on the lamp.")


class Case(unittest.IsolatedAsyncioTestCase):
    """A model, and what a session of it says with nothing else about."""

    def setUp(self):
        self.model = slm.Model(HEARTH)
        self.addCleanup(self.model.close)

    def ids(self, text, **more):
        return self.model.chat_ids([("user", text)], **more)

    def alone(self, text):
        with self.model.session(n_ctx=512) as session:
            return "".join(session.ask(text, temperature=0, max_tokens=40))


class Sessions(Case):
    async def open(self, **options):
        session = await aio.Session.open(self.model, **dict({"n_ctx": 1024}, **options))
        self.addAsyncCleanup(session.close)
        return session

    async def answered(self, session, text="Thank you"):
        """The session has not suffered."""
        session.inner.messages.clear()
        return "".join([piece async for piece in session.ask(text, temperature=0, max_tokens=40)])

    async def test_what_it_says_is_what_others_say(self):
        session = await self.open()
        for question in QUESTIONS:
            self.assertEqual(await self.answered(session, question), self.alone(question))
        self.assertEqual(session.inner.end_reason, slm.EndReason.TOKEN)
        await session.prompt(self.ids("Thank you"))
        events = [e async for e in session.events(temperature=0, n_top=2)]
        self.assertEqual(events[-1].type, slm.EventType.END)
        self.assertEqual(len(events[0].top), 2)
        self.assertEqual("".join(e.text for e in events), self.alone("Thank you"))
        vector = await session.embed("turn on the lamp")
        self.assertEqual(len(vector), self.model.d_model)
        tools = json.loads(TOOLS.read_text(encoding="utf-8"))
        await session.prompt(self.ids("Please turn on the lamp in the study.", tools=tools))
        self.assertEqual([part async for part in session.answer(tools=tools, temperature=0)],
                         [slm.Call("light", {"place": "study", "state": "on"})])

    async def test_the_loop_goes_on(self):
        """Others have their turn between one piece and the next, and while a prompt is evaluated."""
        session = await self.open()
        turns, over = 0, False

        async def others():
            nonlocal turns
            while not over:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.ensure_future(others())
        await session.prompt(range(5, 700))
        in_prompt = turns
        pieces = [piece async for piece in session.generate(temperature=0, max_tokens=20, ignore_end=True)]
        over = True
        await task
        self.assertGreater(in_prompt, 1)
        self.assertGreater(turns - in_prompt, len(pieces))

    async def test_conversations(self):
        session = await self.open()
        chat = await session.run(session.inner.chat, system="You are Hearth.")
        await session.run(chat.add, "user", "What can you do?")
        said = "".join([part async for part in session.iterate(chat.answer, temperature=0, max_tokens=30)])
        self.assertEqual(chat.messages[-1]["content"], said)
        await session.run(chat.add, "user", "Thank you")
        task = asyncio.ensure_future(self.taken(session.iterate(chat.answer, temperature=0)))
        await asyncio.sleep(0)
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        await session.run(chat.cut, 3)
        await session.run(chat.add, "user", "Thank you")
        again = [part async for part in session.iterate(chat.answer, temperature=0)]
        with self.model.session(n_ctx=1024) as plain, plain.chat(system="You are Hearth.") as other:
            other.add("user", "What can you do?")
            self.assertEqual("".join(other.answer(temperature=0, max_tokens=30)), said)
            other.add("user", "Thank you")
            self.assertEqual("".join(other.answer(temperature=0)), "".join(again))
        await session.run(chat.close)

    async def taken(self, stream):
        return [piece async for piece in stream]

    async def test_errors(self):
        session = await self.open(n_ctx=64)
        with self.assertRaises(slm.ContextFull):
            await session.prompt([5] * 100)
        with self.assertRaises(slm.Error):
            await self.taken(session.generate())  # there is nothing to go on from
        with self.assertRaises(TypeError):
            await self.taken(session.generate(heat=1))
        self.assertTrue(await self.answered(session))
        with self.assertRaises(slm.Error):
            await aio.Session.open(self.model, n_ctx=1 << 30)

    async def test_cancelled_in_a_prompt(self):
        session = await self.open(n_ctx=1024, chunk_ms=1)
        want = self.alone("Thank you")
        for _ in range(5):
            session.inner.truncate(0)
            task = asyncio.ensure_future(session.prompt(range(5, 1000)))
            while not session.inner.info.n_tokens and not task.done():
                await asyncio.sleep(0)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            self.assertEqual(await self.answered(session), want)

    async def test_cancelled_in_an_answer(self):
        session = await self.open()
        want = self.alone("Thank you")
        for n in range(12):  # wherever it is by then
            await session.prompt(self.ids("What can you do?"))
            seen = []

            async def take():
                async for piece in session.generate(temperature=0):
                    seen.append(piece)

            task = asyncio.ensure_future(take())
            for _ in range(n):
                await asyncio.sleep(0)
            while n > 8 and not seen:
                await asyncio.sleep(0)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            del task
            self.assertEqual(await self.answered(session), want)

    async def test_timeouts(self):
        session = await self.open()
        await session.prompt(self.ids("What can you do?"))
        with self.assertRaises(asyncio.TimeoutError):
            await asyncio.wait_for(self.taken(session.generate(ignore_end=True)), 0.05)
        self.assertEqual(await self.answered(session), self.alone("Thank you"))

    async def test_cancelled_when_the_context_is_full(self):
        session = await self.open(n_ctx=64)
        await session.prompt([5] * 64)
        session.inner.cancel()  # too late for anything
        aio._clean(session.inner, None, True)
        self.assertEqual(session.inner.tokens, [5] * 64)
        session.inner.truncate(10)
        self.assertEqual(await self.answered(session), self.alone("Thank you"))

    async def test_leaving(self):
        session = await self.open()
        await session.prompt(self.ids("What can you do?"))
        async for _ in session.generate(temperature=0):
            break
        self.assertEqual(await self.answered(session), self.alone("Thank you"))
        await session.prompt(self.ids("What can you do?"))
        async with session.generate(temperature=0) as stream:
            self.assertTrue(await stream.__anext__())
        self.assertEqual([piece async for piece in stream], [])
        left = session.ask("What can you do?", temperature=0)
        self.assertTrue(await left.__anext__())
        await session.close()  # with it in the middle
        self.assertTrue(session.inner.closed)
        await session.close()

    async def test_the_collector_may_be_anywhere(self):
        """A stream that is forgotten waits for no lock: the collector may find it in submit()."""
        session = await self.open()
        await session.prompt(self.ids("What can you do?"))
        left = [session.generate(temperature=0)]
        self.assertTrue(await left[0].__anext__())
        with session._thread._shutdown_lock:  # as in the midst of submit()
            collector = threading.Thread(target=left.clear, daemon=True)
            collector.start()
            collector.join(20)
            waits = collector.is_alive()
        self.assertFalse(waits)
        self.assertEqual(await self.answered(session), self.alone("Thank you"))

    async def test_closing_with_streams_open(self):
        """All of them end, not the last alone, and are closed again without harm."""
        session = await self.open()
        await session.prompt(self.ids("What can you do?"))
        first, last = (session.generate(temperature=0) for _ in range(2))
        self.assertTrue(await first.__anext__())
        await session.close()
        for stream in (first, last):
            await stream.close()
            self.assertEqual(await self.taken(stream), [])
        async with session.generate(temperature=0):
            pass
        with self.assertRaises(RuntimeError):
            await session.prompt([5])

    async def test_closing_is_cancelled(self):
        """A session is freed also where the task that closes it has been cancelled before its turn."""
        session = await self.open()
        goes_on = threading.Event()
        busy = asyncio.ensure_future(session.run(goes_on.wait))
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(session.close())
        await asyncio.sleep(0)
        closing.cancel()
        asyncio.get_running_loop().call_soon(goes_on.set)
        with self.assertRaises(asyncio.CancelledError):
            await closing
        self.assertTrue(session.inner.closed)
        self.assertTrue(await busy)


class Batches(Case):
    async def batch(self, **options):
        return await aio.Batch.open(self.model, **dict({"max_running": 3, "cache": {"n_ctx": 512}},
                                                       **options))

    async def test_answers_are_those_of_each_alone(self):
        async def streamed(request):
            async with request:
                return "".join([part async for part in request])

        async with await self.batch() as batch:
            asked = [batch.answer(self.ids(q), temperature=0, max_tokens=40) for q in QUESTIONS]
            self.assertEqual(await asyncio.gather(*map(streamed, asked)), [self.alone(q) for q in QUESTIONS])
            self.assertEqual(asked[0].message["content"], asked[0].text)
            self.assertEqual(asked[0].end_reason, slm.EndReason.TOKEN)
            self.assertGreater(asked[0].n_tokens, 0)
            again = await batch.text(self.ids(QUESTIONS[0]), temperature=0, max_tokens=40)
            self.assertEqual(again.text, self.alone(QUESTIONS[0]))
            self.assertIsNone(await again.next_event())
        with self.assertRaises(RuntimeError):
            batch.text([5])
        with self.assertRaises(slm.Error):
            await self.batch(max_running=10 ** 6)

    async def test_tools_and_embeddings(self):
        tools = json.loads(TOOLS.read_text(encoding="utf-8"))
        with self.model.session(n_ctx=256) as session:
            want = session.embed("turn on the lamp")
        async with await self.batch(cache={"n_ctx": 1024}) as batch:
            request = batch.answer(self.ids("Please turn on the lamp in the study.", tools=tools),
                                   tools=tools, temperature=0)
            made, vector = await asyncio.gather(
                request, batch.embedding(self.model.tokenize("turn on the lamp")))
            self.assertEqual(made.calls, [slm.Call("light", {"place": "study", "state": "on"})])
            self.assertEqual(vector.embedding, want)

    async def test_failures(self):
        def fail(*_):
            raise KeyError("mine")

        async with await self.batch(max_running=1, max_requests=1) as batch:
            with self.assertRaises(slm.ContextFull):
                await batch.text([5] * 600)
            with self.assertRaises(TypeError):
                await batch.text([5], heat=1)
            with self.assertRaises(KeyError):
                await batch.answer(self.ids("What can you do?"), filter=fail, temperature=0)
            one = batch.text(self.ids("Thank you"), temperature=0, max_tokens=40)
            two = batch.text(self.ids("Thank you"))
            with self.assertRaises(slm.Error) as caught:
                await two
            self.assertEqual(caught.exception.status, slm.Status.BUSY)
            with self.assertRaises(slm.Error):
                await two.next_event()  # and again
            self.assertEqual((await one).text, self.alone("Thank you"))

    async def test_waited_for_by_two(self):
        async with await self.batch() as batch:
            for n_ids, failure in ((0, None), (600, slm.ContextFull)):
                request = batch.text(self.ids("Thank you") + [5] * n_ids, temperature=0, max_tokens=40)
                tasks = [asyncio.ensure_future(request._wait()) for _ in range(3)]
                _, hang = await asyncio.wait(tasks, timeout=20)
                self.assertFalse(hang)
                self.assertEqual([type(task.exception()) for task in tasks],
                                 [type(None) if failure is None else failure] * 3)
                if failure is None:
                    self.assertEqual(request.text, self.alone("Thank you"))
                    self.assertIsNone(await request.next_event())

    async def test_cancelled(self):
        """Each way of ending a request that would have gone on gives its place to the next one."""
        async with await self.batch(max_running=1, max_requests=1) as batch:
            def long():
                return batch.text(self.ids("What can you do?"), ignore_end=True)

            async def by_task():
                task = asyncio.ensure_future(long()._wait())
                await asyncio.sleep(0.01)
                task.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await task

            async def by_hand():
                request = long()
                self.assertTrue(await request.__anext__())
                request.cancel()
                with self.assertRaises(slm.Cancelled):
                    await request

            async def by_block():
                async with long() as request:
                    async for _ in request:
                        break

            async def by_timeout():
                with self.assertRaises(asyncio.TimeoutError):
                    await asyncio.wait_for(long()._wait(), 0.02)

            async def by_forgetting():
                async for _ in long():
                    break
                gc.collect()
                for _ in range(1000):  # the thread sees it behind a step
                    if not batch._open:
                        break
                    await asyncio.sleep(0.01)

            for way in (by_task, by_hand, by_block, by_timeout, by_forgetting):
                with self.subTest(way.__name__):
                    await way()
                    said = await batch.text(self.ids("Thank you"), temperature=0, max_tokens=40)
                    self.assertEqual(said.text, self.alone("Thank you"))

    async def test_forgotten(self):
        """Its thread does not keep it, and one that has been used is told of like one that has not."""
        for used in (False, True):
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always", ResourceWarning)
                batch = await self.batch()
                if used:
                    await batch.text(self.ids("Thank you"), max_tokens=4)
                thread = batch._thread
                del batch
                for _ in range(1000):  # the thread may be behind its last step
                    gc.collect()
                    if told and not thread.is_alive():
                        break
                    await asyncio.sleep(0.01)
            self.assertEqual([str(w.message) for w in told], ["Batch was not closed"])
            self.assertFalse(thread.is_alive())

    async def test_closing_in_the_middle(self):
        batch = await self.batch(max_running=1)
        running, waiting = (batch.text(self.ids("What can you do?"), ignore_end=True) for _ in range(2))
        self.assertTrue(await running.__anext__())
        await batch.close()
        for request in (running, waiting):
            with self.assertRaises(slm.Cancelled):
                await request
            request.cancel()  # after all that: nothing
        self.assertTrue(batch.inner.closed)
        await batch.close()


class Loops(unittest.TestCase):
    def test_a_loop_that_ends_first(self):
        """What comes for a loop that is closed is for nobody, and the batch goes on for others."""
        with slm.Model(HEARTH) as model, warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", ResourceWarning)
            batch = aio.Batch(model.batch(max_running=2, cache={"n_ctx": 512}))
            ids = model.chat_ids([("user", "Thank you")])
            left = []

            async def begin():
                left.append(batch.text(ids, ignore_end=True))
                self.assertTrue(await left[0].__anext__())

            async def other():
                said = (await batch.text(ids, temperature=0)).text
                await batch.close()
                return said

            asyncio.run(begin())
            self.assertTrue(asyncio.run(other()))
            self.assertTrue(batch.inner.closed)
            del batch, left[:]
            gc.collect()
        self.assertEqual([str(w.message) for w in told], [])


if __name__ == "__main__":
    sys.exit(0 if unittest.main(exit=False).result.wasSuccessful() else 1)
