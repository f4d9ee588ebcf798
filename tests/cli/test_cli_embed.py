"""embed."""

import json
import math

from cli_case import STORIES, Case, main, slm


def vectors(result):
    return [json.loads(line) for line in result.out.splitlines()]


class Embed(Case):
    def test_one_line_for_each_text(self):
        r = slm("embed", STORIES, data=b"Once upon a time\nOne day, a cat\r\nOnce upon a time")
        self.done(r)
        first, other, again = vectors(r)
        self.assertEqual(len(first), 64)
        self.assertAlmostEqual(math.fsum(x * x for x in first), 1, places=5)
        self.assertEqual(first, again)
        self.assertNotEqual(first, other)
        with self.subTest("the carriage return is not part of the text"):
            self.assertEqual(vectors(slm("embed", STORIES, data=b"One day, a cat\n")), [other])

    def test_pooling(self):
        text = b"Once upon a time\n"
        mean = vectors(slm("embed", STORIES, "--pooling", "mean", data=text))
        last = vectors(slm("embed", STORIES, "--pooling", "last", data=text))
        self.assertEqual(mean, vectors(slm("embed", STORIES, data=text)))
        self.assertNotEqual(mean, last)
        self.fails(slm("embed", STORIES, "--pooling", "max", data=text), 2, "mean|last")

    def test_texts_with_several_lines(self):
        r = slm("embed", STORIES, "--null", data=b"Once\nupon\0a time\0")
        self.done(r)
        self.assertEqual(len(vectors(r)), 2)

    def test_nothing(self):
        self.done(slm("embed", STORIES, data=b""), b"")
        self.assertEqual(len(vectors(slm("embed", STORIES, data=b"\n"))), 1)  # its BOS

    def test_too_long(self):
        r = slm("embed", STORIES, "-c", "8", data=b"short\n" + b"long " * 20 + b"\n")
        self.assertEqual(r.status, 1, r)
        self.assertEqual(len(vectors(r)), 1)
        self.assertIn(b"context of 8", r.err)


if __name__ == "__main__":
    main()
