"""Sound files that are wrong, cut short, or full of numbers that are none."""

import struct

from voice_case import Case, loop, main, mix, read_wav


def chunk(name, data, size=None):
    size = len(data) if size is None else size
    return name + struct.pack("<I", size) + data + b"\0" * (len(data) % 2)


def fmt(tag=1, channels=1, rate=16000, align=None, bits=16, size=None):
    align = channels * bits // 8 & 0xffff if align is None else align
    data = struct.pack("<HHIIHH", tag, channels, rate, rate * align & 0xffffffff, align, bits)
    return chunk(b"fmt ", data, size)


def riff(*chunks, size=None, tag=b"RIFF", kind=b"WAVE"):
    body = kind + b"".join(chunks)
    return tag + struct.pack("<I", len(body) if size is None else size) + body


SOUND = struct.pack("<1600h", *([1000, -1000] * 800))
GOOD = riff(fmt(), chunk(b"data", SOUND))


class Wav(Case):
    def read(self, data):
        path = self.dir / "in.wav"
        path.write_bytes(data)
        return loop("--wav-in", path, "--wav-out", self.dir / "out.wav", "--virtual-clock",
                    "--recognizer", "fake", "--no-tools", timeout=60)

    def refused(self, data, *words):
        self.fails(self.read(data), 1, "in.wav", *words)

    def taken(self, data, n_samples):
        self.done(self.read(data), 0)
        self.assertEqual(len(read_wav(self.dir / "out.wav")[1]), n_samples)

    def either(self, data):
        """Refused in one line, or read as far as it goes; never for long, never much."""
        result = self.read(data)
        if result.status == 0:
            self.done(result, 0)
            self.assertLess(len(read_wav(self.dir / "out.wav")[1]), 16000)
        else:
            self.fails(result, 1, "in.wav")

    def test_good(self):
        self.taken(GOOD, 1600)

    def test_too_short_for_a_header(self):
        for n in (0, 1, 4, 8, 11, 12, 20, 35):
            with self.subTest(bytes=n):
                self.refused(GOOD[:n])
        self.either(GOOD[:43])
        self.either(GOOD[:44])

    def test_cut_in_the_data(self):
        self.taken(GOOD[:-1600], 800)
        self.either(GOOD[:-1])

    def test_other_kinds(self):
        self.refused(riff(fmt(), chunk(b"data", SOUND), tag=b"RIFX"[:3] + b"Q"))
        self.refused(riff(fmt(), chunk(b"data", SOUND), kind=b"WAVX"))
        self.refused(b"OggS" + bytes(100))
        self.refused(riff(chunk(b"data", SOUND), fmt()), )
        ds64 = chunk(b"ds64", struct.pack("<QQQI", len(GOOD) + 28, len(SOUND), 1600, 0))
        self.refused(riff(ds64, fmt(), chunk(b"data", SOUND, 0xffffffff), tag=b"RF64",
                          size=0xffffffff), "WAV")
        for tag in 2, 6, 7, 17, 85, 0xfffe:
            with self.subTest(tag=tag):
                self.refused(riff(fmt(tag=tag), chunk(b"data", SOUND)))

    def test_fmt_chunks(self):
        for size in 0, 15, 0xffffffff:
            with self.subTest(size=size):
                self.refused(riff(fmt(size=size), chunk(b"data", SOUND)))

    def test_chunk_sizes(self):
        self.either(riff(fmt(), chunk(b"LIST", b"abc", 0xffffffff), chunk(b"data", SOUND)))
        self.either(riff(fmt(), chunk(b"LIST", b"abc", 0), chunk(b"data", SOUND)))
        self.either(riff(fmt(), *[chunk(b"junk", b"", 0)] * 20000, chunk(b"data", SOUND)))
        self.either(riff(fmt(), chunk(b"odd ", b"abc"), chunk(b"data", SOUND)))
        self.either(riff(fmt(), chunk(b"data", SOUND, 0xffffffff)))
        self.either(riff(fmt(), chunk(b"data", SOUND, len(SOUND) + 1000)))
        self.either(riff(fmt(), chunk(b"data", SOUND, 0)))
        self.either(riff(fmt(), chunk(b"data", SOUND), size=0))
        self.either(riff(fmt(), chunk(b"data", SOUND), size=0xffffffff))

    def test_numbers_out_of_range(self):
        for channels in 0, 65535:
            self.refused(riff(fmt(channels=channels), chunk(b"data", SOUND)))
        for rate in 0, 1, 7999, 48001, 96000, 0xffffffff:
            with self.subTest(rate=rate):
                self.refused(riff(fmt(rate=rate), chunk(b"data", SOUND)))
        for bits in 0, 7, 64, 65535:
            with self.subTest(bits=bits):
                self.refused(riff(fmt(bits=bits, align=2), chunk(b"data", SOUND)))
        self.either(riff(fmt(align=0), chunk(b"data", SOUND)))
        self.either(riff(fmt(align=0xffff), chunk(b"data", SOUND)))

    def test_floats_that_are_no_numbers(self):
        values = [float("nan"), float("inf"), float("-inf"), 1e38, -1e38, 1.0, -1.0, 1e-42] * 400
        data = struct.pack(f"<{len(values)}f", *values)
        self.either(riff(fmt(tag=3, bits=32), chunk(b"data", data)))

    def test_full_scale_and_an_offset(self):
        for x in 32767, -32768:
            self.taken(riff(fmt(), chunk(b"data", struct.pack("<h", x) * 16000)), 16000)

    def test_a_minute_of_hum_is_no_turn(self):
        hum = mix([], 1, 16000, noise=200) * 60
        self.done(self.hear(hum, rate=16000, said="what"), 0)


if __name__ == "__main__":
    main()
